// Where an OpenID provider is set, its page is a click away: a code comes back, which the browser
// makes a token of, with PKCE.
const { clientId, scopes } = document.currentScript.dataset;
window.ui.initOAuth({ clientId, scopes, usePkceWithAuthorizationCodeGrant: true });
