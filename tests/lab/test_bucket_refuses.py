"""What an S3 store answers: the result of a run names the cause."""

from __future__ import annotations

import os

import pytest
from command_line import CommandLine
from refusing_s3 import refusing_s3

from lab import Lab, LabServer

ANSWERS = {
    (403, "AccessDenied"): "bucket_refused",
    (403, "InvalidAccessKeyId"): "bucket_key_unknown",
    (403, "SignatureDoesNotMatch"): "bucket_key_wrong",
    (400, "AuthorizationHeaderMalformed"): "bucket_elsewhere",
    (301, "PermanentRedirect"): "bucket_elsewhere",
    (404, "NoSuchBucket"): "bucket_missing",
}


@pytest.mark.ready
@pytest.mark.skipif(not os.environ.get("MOORAGE_THOROUGH"), reason="MOORAGE_THOROUGH is not set")
def test_an_answer_of_the_store_becomes_a_code(
    lab: Lab, call: CommandLine, server: LabServer
) -> None:
    call.add_known_hosts(server)
    call.environment |= {"S3_ACCESS_KEY": "moorage-access", "S3_SECRET_KEY": "moorage-secret"}
    with refusing_s3(lab.gateway) as store:

        def apply(endpoint: str) -> tuple[str, str]:
            keys = {"accesskey": {"env": "S3_ACCESS_KEY"}, "secretkey": {"env": "S3_SECRET_KEY"}}
            place = {
                "bucket": "images",
                "region": "us-east-1",
                "regionendpoint": endpoint,
                "secure": False,
            }
            call.write_answers(server, storage={"driver": "s3", "s3": {**place, **keys}})
            outcome = call("apply", "moorage.yml", "--yes", "--json", "--passwords-to", "passwords")
            (call.home / "passwords").unlink(missing_ok=True)
            assert "servers" in outcome.result, outcome.stdout + outcome.stderr
            [result] = outcome.result["servers"]
            return result["code"], result["message"]

        found = {}
        for store.status, store.code in ANSWERS:
            found[store.status, store.code], _ = apply(store.endpoint)
        assert found == ANSWERS
        code, said = apply("http://nowhere.invalid:9")
        assert code == "bucket_host_unknown", said
