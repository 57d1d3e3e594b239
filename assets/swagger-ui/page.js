// A file of its own: the page's content security policy runs no script that stands in the page.
window.ui = SwaggerUIBundle({
  url: "../swagger.json", // relative, so that it is found below whatever path a proxy shows it
  dom_id: "#swagger-ui",
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null, // it would send the contract to another host
  persistAuthorization: false,
  showMutatedRequest: false,
  requestInterceptor: (request) => {
    // Else the browser would ask for a password itself, and let the page wait for it.
    request.headers["X-Requested-With"] = "XMLHttpRequest";
    return request;
  },
  onComplete: () => {
    // Where nothing else is linked to, the first thing to try is open.
    if (!location.hash) window.ui.layoutActions.show(["operations", "predictions", "predict"], true);
  },
});

// On the machine that the server runs on, the front-end may run, too.
const frontEnd = document.getElementById("front-end");
frontEnd.hidden = !["127.0.0.1", "localhost"].includes(location.hostname);
frontEnd.href += `?server=${encodeURIComponent(new URL("..", location.href).href.replace(/\/$/, ""))}`;
