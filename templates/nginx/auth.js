// Written by Moorage. Names a login in nginx's cache without keeping the password.
import crypto from 'crypto';

function identity(r) {
    const authorization = r.headersIn.Authorization || '';
    return crypto
        .createHmac('sha256', r.variables.moorage_auth_key)
        .update(authorization)
        .digest('hex');
}

export default { identity };
