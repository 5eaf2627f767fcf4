// The page in Debian's Chromium; a site, its scorer's numbers and the program come from scripts/tests/web.sh.
import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: "tests",
  workers: 1,
  retries: 0,
  timeout: 600_000,
  // A page is looked at until it is right; machines with other work take their time.
  expect: { timeout: 30_000 },
  reporter: [["list"]],
  use: {
    launchOptions: {
      executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
      args: [
        "--no-sandbox",
        // A software adapter, so that WebGPU runs on machines without a card.
        "--enable-unsafe-webgpu",
        "--use-webgpu-adapter=swiftshader",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-quic",
      ],
    },
  },
});
