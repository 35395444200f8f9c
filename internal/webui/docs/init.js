// Starts Swagger UI on the page that loaded this file. A file of its own, because the
// Content-Security-Policy allows no inline script.
'use strict';

// Swagger UI has a dark theme behind a class on <html>; follow the system, also when it changes.
const dark = window.matchMedia('(prefers-color-scheme: dark)');
const applyTheme = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
dark.addEventListener('change', applyTheme);
applyTheme();

// Swagger UI fills in the examples of parameters. That makes filters which nobody meant, so that optional parameters
// start empty here, with their examples in the descriptions; and one Idempotency-Key for everything, so that each
// operation gets one of its own.
const referenced = (spec, kind, it) => (it.$ref ? spec.components[kind][it.$ref.split('/').pop()] : it);

const randomKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');

const startOf = (spec, parameter) => {
  const known = referenced(spec, 'parameters', parameter);
  if (known.name === 'Idempotency-Key') return { ...known, example: randomKey() };
  if (known.required) return known;
  const { example, ...rest } = known;
  const { example: ofSchema, ...schema } = referenced(spec, 'schemas', known.schema);
  return { ...rest, schema, description: `${known.description} Example: \`${example ?? ofSchema}\`` };
};

const startEmpty = () => ({
  statePlugins: {
    spec: {
      wrapActions: {
        updateJsonSpec: (update) => (spec) => {
          for (const operation of Object.values(spec.paths ?? {}).flatMap(Object.values)) {
            operation.parameters &&= operation.parameters.map((parameter) => startOf(spec, parameter));
          }
          return update(spec);
        },
      },
    },
  },
});

const root = document.getElementById('swagger-ui');

window.ui = SwaggerUIBundle({
  domNode: root,
  url: root.dataset.specUrl,
  layout: 'BaseLayout',
  presets: [SwaggerUIBundle.presets.apis],
  plugins: [startEmpty],
  deepLinking: true,
  docExpansion: 'list',
  defaultModelsExpandDepth: 0, // The schemas at the end start folded.
  displayRequestDuration: true,
  filter: true,
  tryItOutEnabled: true,
  persistAuthorization: false, // Credentials live in this tab only, until it is closed or reloaded.
  validatorUrl: 'none', // Sends the document to no validation service.
});
