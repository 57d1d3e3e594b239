// A real OpenID provider for tests: `node provider.mjs CONFIGURATION`, a file of JSON.
// Its keys are those of the file `keys`; SIGHUP reads them anew.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const given = JSON.parse(readFileSync(process.argv[2], 'utf-8'));
const PAGE = (uid, name) => `<!DOCTYPE html><title>Sign in</title><link rel="icon" href="data:,">
<form method="post" action="/interaction/${uid}"><button>${name}</button></form>`;

function configuration() {
  return {
    jwks: JSON.parse(readFileSync(given.keys, 'utf-8')),
    clients: given.clients,
    clientBasedCORS: () => true,
    cookies: { keys: ['of tests'] },
    findAccount: (ctx, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => given.audience,
        useGrantedResource: () => true,
        getResourceServerInfo: (ctx, audience) => ({
          scope: given.scope,
          audience,
          accessTokenTTL: given.seconds,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: given.algorithm } },
        }),
      },
    },
    ttl: { AccessToken: given.seconds, ClientCredentials: given.seconds, Grant: 600, Session: 600, Interaction: 600, IdToken: 600 },
  };
}

// Who presses the button is signed in, and may have what was asked for.
async function interaction(provider, request, response) {
  const details = await provider.interactionDetails(request, response);
  if (request.method === 'GET') {
    response.setHeader('Content-Type', 'text/html');
    response.end(PAGE(details.uid, details.prompt.name === 'login' ? 'Sign in' : 'Allow'));
    return;
  }
  if (details.prompt.name === 'login') {
    await provider.interactionFinished(request, response, { login: { accountId: given.account } });
    return;
  }
  const grant = new provider.Grant({ accountId: details.session.accountId, clientId: details.params.client_id });
  const missing = details.prompt.details;
  grant.addOIDCScope((missing.missingOIDCScope ?? []).join(' '));
  for (const [resource, scopes] of Object.entries(missing.missingResourceScopes ?? {})) {
    grant.addResourceScope(resource, scopes.join(' '));
  }
  await provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } });
}

let provider, answer;
function begin() {
  provider = new Provider(given.issuer, configuration());
  answer = provider.callback();
}
begin();
process.on('SIGHUP', () => { begin(); console.log('turned'); });
createServer((request, response) => {
  if (!request.url.startsWith('/interaction/')) return answer(request, response);
  return interaction(provider, request, response).catch((error) => response.writeHead(500).end(String(error)));
}).listen(given.port, '127.0.0.1', () => console.log('ready'));
