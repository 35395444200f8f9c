// Starts Swagger UI on the page that loaded this file. A file of its own, because the
// Content-Security-Policy allows no inline script.
'use strict';

// Swagger UI has a dark theme behind a class on <html>; follow the system, also when it changes.
const dark = window.matchMedia('(prefers-color-scheme: dark)');
const applyTheme = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
dark.addEventListener('change', applyTheme);
applyTheme();

const root = document.getElementById('swagger-ui');

window.ui = SwaggerUIBundle({
  domNode: root,
  url: root.dataset.specUrl,
  layout: 'BaseLayout',
  presets: [SwaggerUIBundle.presets.apis],
  deepLinking: true,
  docExpansion: 'list',
  defaultModelsExpandDepth: 0, // The schemas at the end start folded.
  displayRequestDuration: true,
  filter: true,
  tryItOutEnabled: true,
  persistAuthorization: false, // Credentials live in this tab only, until it is closed or reloaded.
  validatorUrl: 'none', // Sends the document to no validation service.
});
