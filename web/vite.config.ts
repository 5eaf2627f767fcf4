// Builds the pages into `dist/`: relative addresses throughout, so that a site works in any folder of a host.
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";

/** Tells the service worker which files make up the pages. The wasm of a scorer is kept when it is used. */
function precache(): Plugin {
  return {
    name: "precache",
    apply: "build",
    generateBundle(_, bundle) {
      const isScorer = (file: string) => file.endsWith(".wasm") && !file.includes("judgements");
      // The lead's page needs its server.
      const isLead = (file: string) => /(^|\/)lead\b/.test(file);
      const files = Object.keys(bundle).filter((file) => file !== "sw.js" && !isScorer(file) && !isLead(file));
      const list = [...new Set(["index.html", "annotate.html", "icon.svg", ...files])].sort();
      const worker = bundle["sw.js"];
      if (worker?.type !== "chunk") throw new Error("the service worker is not among the chunks");
      const version = createHash("sha256").update(list.join("\n")).digest("hex").slice(0, 12);
      worker.code = worker.code
        .replace("__PRECACHE__", JSON.stringify(list))
        .replace("__VERSION__", JSON.stringify(version));
    },
  };
}

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  base: "./",
  plugins: [precache()],
  worker: { format: "es" },
  build: {
    target: "es2022",
    // A data URL would need another rule in the Content-Security-Policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: {
      input: { index: here("index.html"), annotate: here("annotate.html"), lead: here("lead.html"), sw: here("src/offline/sw.ts") },
      output: { entryFileNames: (chunk) => (chunk.name === "sw" ? "sw.js" : "assets/[name]-[hash].js") },
    },
  },
});
