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
  onComplete: () => {
    // Where nothing else is linked to, the first thing to try is open.
    if (!location.hash) window.ui.layoutActions.show(["operations", "predictions", "predict"], true);
  },
});
