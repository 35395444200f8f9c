export default {
  authservice: {
    input: "../openapi.yaml",
    output: { target: `${process.env.OUT}/api.ts`, client: "fetch", mode: "single", baseUrl: process.env.URL_OF_SERVICE },
  },
};
