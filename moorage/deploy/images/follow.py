"""Follow a run on the server that stores the images."""

from __future__ import annotations

from moorage.deploy.deployment import Deployment
from moorage.deploy.images.run import ImagesChange


def follow_images_run(deployment: Deployment, server: str, run_id: str) -> ImagesChange:
    """Follow a run until it ends. Blocks.

    Args:
        deployment: The deployment; :meth:`Deployment.abort` cancels the run.
        server: The server.
        run_id: The run's ID.
    """
    run = deployment.new_run(server, run_id, deployment.on_event)
    deployment.watch_runs([run])
    run.attach()
    return ImagesChange(run.end, dict(run.numbers))
