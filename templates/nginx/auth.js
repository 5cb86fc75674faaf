// Written by Moorage. Names a login in nginx's cache without keeping the password, and makes wrong
// names take as long as wrong passwords.
import crypto from 'crypto';
import fs from 'fs';

function keyed(r, data) {
    return crypto.createHmac('sha256', r.variables.moorage_auth_key).update(data).digest('hex');
}

function identity(r) {
    return keyed(r, r.headersIn.Authorization || '');
}

// Returns where a login is checked and what is checked there: "password" and the login itself, or,
// for a name that nobody has, "nobody" and the same password with the name of one of the users.
// Always the same one for a name, as a user's password always takes the same time.
function toCheck(r) {
    const authorization = r.headersIn.Authorization || '';
    const asItIs = `password ${authorization}`;
    // nginx refuses every other spelling, or reads it itself.
    const basic = authorization.match(/^Basic +([A-Za-z0-9+\/]+=*)$/i);
    if (!basic) {
        return asItIs;
    }
    try {
        const login = Buffer.from(basic[1], 'base64');
        const colon = login.indexOf(':');
        const users = fs.readFileSync('{{ nginx_etc }}/htpasswd');
        if (colon < 0 || users.length < 2) {
            return asItIs;
        }
        const wanted = Buffer.concat([Buffer.from('\n'), login.subarray(0, colon + 1)]);
        const isFirst = users.subarray(0, colon + 1).equals(login.subarray(0, colon + 1));
        if (isFirst || users.indexOf(wanted) >= 0) {
            return asItIs;
        }
        const place = parseInt(keyed(r, login.subarray(0, colon)).slice(0, 8), 16) % users.length;
        const newline = users.indexOf('\n', place);
        const start = newline < 0 || newline + 1 >= users.length ? 0 : newline + 1;
        const end = users.indexOf(':', start);
        if (end < 0) {
            return asItIs;
        }
        const instead = Buffer.concat([users.subarray(start, end), login.subarray(colon)]);
        return `nobody Basic ${instead.toString('base64')}`;
    } catch (error) {
        r.error(`logins are checked without hiding which names there are: ${error.message}`);
        return asItIs;
    }
}

export default { identity, toCheck };
