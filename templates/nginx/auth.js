// Written by Moorage. Derives nginx's cache key for a login without storing the password, and makes
// unknown user names take as long to check as wrong passwords.
import crypto from 'crypto';
import fs from 'fs';

function keyed(r, data) {
    return crypto.createHmac('sha256', r.variables.moorage_auth_key).update(data).digest('hex');
}

function identity(r) {
    return keyed(r, r.headersIn.Authorization || '');
}

// Returns the server that checks a login, and the Authorization header to check there: "password"
// and the header itself or, for an unknown name, "nobody" and a header with the same password and
// the name of an existing user. The same unknown name always maps to the same user, because hashes
// of different users can take different times.
function toCheck(r) {
    const authorization = r.headersIn.Authorization || '';
    const unchanged = `password ${authorization}`;
    // nginx rejects all other forms, or parses them itself.
    const basic = authorization.match(/^Basic +([A-Za-z0-9+\/]+=*)$/i);
    if (!basic) {
        return unchanged;
    }
    try {
        const login = Buffer.from(basic[1], 'base64');
        const colon = login.indexOf(':');
        const users = fs.readFileSync('{{ nginx_etc }}/htpasswd');
        if (colon < 0 || users.length < 2) {
            return unchanged;
        }
        const line = Buffer.concat([Buffer.from('\n'), login.subarray(0, colon + 1)]);
        const isFirst = users.subarray(0, colon + 1).equals(login.subarray(0, colon + 1));
        if (isFirst || users.indexOf(line) >= 0) {
            return unchanged;
        }
        const offset = parseInt(keyed(r, login.subarray(0, colon)).slice(0, 8), 16) % users.length;
        const newline = users.indexOf('\n', offset);
        const start = newline < 0 || newline + 1 >= users.length ? 0 : newline + 1;
        const end = users.indexOf(':', start);
        if (end < 0) {
            return unchanged;
        }
        const instead = Buffer.concat([users.subarray(start, end), login.subarray(colon)]);
        return `nobody Basic ${instead.toString('base64')}`;
    } catch (error) {
        r.error(`cannot hide which user names exist: ${error.message}`);
        return unchanged;
    }
}

export default { identity, toCheck };
