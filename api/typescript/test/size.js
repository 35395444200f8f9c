// What the client adds to a page: everything, minified, and compressed.
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

for (const [name, contents] of Object.entries({
  "client and verifier": `export * from "./dist/index.js"`,
  "client": `export { AuthClient, isCode } from "./dist/index.js"`,
})) {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: new URL("..", import.meta.url).pathname },
    bundle: true, minify: true, format: "esm", platform: "browser", target: "es2022", write: false,
  });
  const code = outputFiles[0].contents;
  console.log(`${name}: ${(code.length / 1000).toFixed(1)} kB, ${(gzipSync(code, { level: 9 }).length / 1000).toFixed(1)} kB gzipped`);
}
