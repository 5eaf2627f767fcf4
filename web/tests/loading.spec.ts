// Loading, keeping, and what goes wrong with both; and what leaves the machine.

import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test, type Page } from "@playwright/test";
import { goldens, ready, score, Served, SITE } from "./site";

let site: Served;
test.beforeEach(async () => {
  site = await Served.start({ copy: true });
});
test.afterEach(() => site.stop());

const open = (page: Page) => page.goto(`${site.url}?backend=cpu`);
const SHARD = "weights-000.bin";

function editManifest(edit: (manifest: Record<string, unknown>) => void): void {
  const path = join(site.folder, "bundle", "manifest.json");
  const manifest = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  edit(manifest);
  writeFileSync(path, JSON.stringify(manifest));
}

test("nothing is requested from elsewhere, and the counter would show what is sent", async ({ page }) => {
  const foreign: string[] = [];
  const bodies: string[] = [];
  page.context().on("request", (request) => {
    if (!request.url().startsWith(site.url) && !request.url().startsWith("blob:")) foreign.push(request.url());
    if (request.method() !== "GET" || request.postData() !== null) bodies.push(request.url());
  });
  await open(page);
  await ready(page, "cpu");
  await expect(page.locator("#offline")).toBeVisible();
  await score(page, "A text that stays here.");
  expect(foreign).toEqual([]);
  expect(bodies).toEqual([]);
  await expect(page.getByTestId("bytes-sent")).toHaveText("0");

  // The policy stops the way out, even for a script of the page.
  const leaks = await page.evaluate(() =>
    Promise.allSettled([fetch("https://example.com/"), fetch("http://127.0.0.1:9/", { mode: "no-cors" })]),
  );
  expect(leaks.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  await page.evaluate(() => fetch("./", { method: "POST", body: "12345" }));
  await expect(page.getByTestId("bytes-sent")).toHaveText("5");
});

test("works without network and server once it was loaded", async ({ page, context }) => {
  await open(page);
  await ready(page, "cpu");
  await expect(page.locator("#offline")).toBeVisible();
  const [essay] = goldens(1);
  const before = await score(page, essay?.text ?? "");
  await site.stop();
  site = await Served.start({ copy: true });
  await context.setOffline(true);
  await page.reload();
  await ready(page, "cpu");
  expect(await score(page, essay?.text ?? "")).toBe(before);
});

test("two sites of one host are both kept", async ({ page, context }) => {
  for (const name of ["one", "other"]) cpSync(SITE.folder, join(site.folder, name), { recursive: true });
  // Of another version.
  const script = join(site.folder, "other/sw.js");
  const changed = readFileSync(script, "utf8").replace(/"[0-9a-f]{12}"/, '"0123456789ab"');
  expect(changed).toContain("0123456789ab");
  writeFileSync(script, changed);
  for (const extension of ["br", "gz"]) rmSync(`${script}.${extension}`, { force: true });
  const visit = async (name: string) => {
    await page.goto(`${site.url}${name}/?backend=cpu`);
    await ready(page, "cpu");
    await expect(page.locator("#offline")).toBeVisible();
  };
  for (const name of ["one", "other", ""]) await visit(name);
  await context.setOffline(true);
  for (const name of ["one", "other", ""]) await visit(name);
});

test("a scorer that cannot be loaded leaves the one that was kept", async ({ page, context }) => {
  await open(page);
  await ready(page, "cpu");
  await expect(page.locator("#offline")).toBeVisible();
  const before = await score(page, "A text that stays here.");
  // The site is exported again, and a part of it is missing.
  editManifest((manifest) => ((manifest["shards"] as { sha256: string }[])[0]!.sha256 = "0".repeat(64)));
  await page.reload();
  await expect(page.getByTestId("error")).toHaveText(/its SHA-256 is not the manifest's/);
  await context.setOffline(true);
  await page.reload();
  await ready(page, "cpu");
  expect(await score(page, "A text that stays here.")).toBe(before);
});

test("a second visit fetches no weights again", async ({ page }) => {
  const fetched: string[] = [];
  page.context().on("request", (request) => fetched.push(request.url()));
  await open(page);
  await ready(page, "cpu");
  expect(fetched.filter((url) => url.endsWith(SHARD))).toHaveLength(1);
  await page.reload();
  await ready(page, "cpu");
  expect(fetched.filter((url) => url.endsWith(SHARD))).toHaveLength(1);
});

test("a kept shard that was tampered with is fetched again", async ({ page }) => {
  await open(page);
  await ready(page, "cpu");
  const before = await score(page, "One text.");
  const changed = await page.evaluate(async () => {
    const cache = await caches.open("pair2score-bundle");
    let changed = 0;
    for (const request of await cache.keys()) {
      if (!request.url.includes("/sha256/")) continue;
      const kept = await cache.match(request);
      if (!kept) continue;
      const bytes = new Uint8Array(await kept.arrayBuffer());
      const middle = bytes.length >> 1;
      bytes[middle] = (bytes[middle] ?? 0) ^ 1;
      await cache.put(request, new Response(bytes));
      changed++;
    }
    return changed;
  });
  expect(changed).toBeGreaterThan(1);
  const fetched: string[] = [];
  page.context().on("request", (request) => fetched.push(request.url()));
  await page.reload();
  await ready(page, "cpu");
  expect(await score(page, "One text.")).toBe(before);
  expect(fetched.filter((url) => url.endsWith(SHARD))).toHaveLength(1);
});

test("a download that stops halfway is begun again", async ({ page }) => {
  let tries = 0;
  await page.context().route(`**/${SHARD}`, async (route) => {
    const response = await route.fetch();
    const body = await response.body();
    await route.fulfill({ response, body: tries++ === 0 ? body.subarray(0, body.length >> 1) : body });
  });
  await open(page);
  await ready(page, "cpu");
  expect(tries).toBe(2);
});

const FAULTS: [what: string, damage: () => void, message: RegExp][] = [
  [
    "a flipped bit on the server",
    () => {
      const path = join(site.folder, "bundle", SHARD);
      const bytes = readFileSync(path);
      bytes[1000] = (bytes[1000] ?? 0) ^ 1;
      writeFileSync(path, bytes);
    },
    /weights-000.bin: its SHA-256 is not the manifest's; fetch it again/,
  ],
  ["a missing shard", () => rmSync(join(site.folder, "bundle", SHARD)), /weights-000.bin could not be fetched \(status 404\)/],
  ["a missing manifest", () => rmSync(join(site.folder, "bundle", "manifest.json")), /Check that the folder "bundle" of its site is at http.*\/bundle\/\./],
  ["another version", () => editManifest((m) => (m["format"] = 2)), /has format 2, this program reads format 1/],
  [
    "wrong shapes",
    () => editManifest((m) => ((m["tensors"] as { shape: number[] }[])[1]!.shape = [7])),
    /wrong tensors: backbone\/layers\.0\.input_layernorm\.weight has shape \[7\]/,
  ],
  [
    "a hostile manifest",
    () => editManifest((m) => ((m["shards"] as { bytes: number }[])[0]!.bytes = 2 ** 50)),
    /gives weights-000.bin a size of 1125899906842624 bytes, it must be from 1 to 33554432/,
  ],
  ["a manifest that is no JSON", () => writeFileSync(join(site.folder, "bundle", "manifest.json"), "<html>"), /manifest.json is not JSON/],
];

for (const [what, damage, message] of FAULTS) {
  test(`${what} is refused with what to do`, async ({ page }) => {
    damage();
    await open(page);
    await expect(page.getByTestId("error")).toHaveText(message);
    await expect(page.getByTestId("score-button")).toBeDisabled();
  });
}

test("a first visit without network says what to do", async ({ page }) => {
  await page.context().route(`**/${SHARD}`, (route) => route.abort());
  await open(page);
  await expect(page.getByTestId("error")).toHaveText(/the network or the server is away.*reload the page to go on/);
});

test("a full disk is no reason to stop", async ({ page }) => {
  await page.context().route("**/assets/main-*.js", async (route) => {
    const response = await route.fetch();
    const script = 'Cache.prototype.put = () => Promise.reject(new DOMException("full", "QuotaExceededError"));';
    await route.fulfill({ response, body: script + (await response.text()) });
  });
  await open(page);
  await ready(page, "cpu");
  await expect(page.locator("[data-code=quota]")).toContainText("not enough room");
});

for (const [what, script, code] of [
  ["too small buffers", "Object.defineProperty(GPUSupportedLimits.prototype, 'maxBufferSize', { value: 1000 });", "small-buffers"],
  ["no adapter", "GPU.prototype.requestAdapter = async () => null;", "no-adapter"],
] as const) {
  test(`${what}: the processor computes, with the reason`, async ({ page }) => {
    await page.context().route("**/assets/main-*.js", async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: script + (await response.text()) });
    });
    await page.goto(`${site.url}?backend=webgpu`);
    await ready(page, "cpu");
    await page.getByText("notes", { exact: true }).click();
    await expect(page.locator(`[data-code=${code}]`)).toBeVisible();
  });
}

test("a lost device is an error that says what to do, now and for later texts", async ({ page }) => {
  await page.context().route("**/assets/main-*.js", async (route) => {
    const response = await route.fetch();
    const script = `
      const request = GPUAdapter.prototype.requestDevice;
      GPUAdapter.prototype.requestDevice = async function (descriptor) {
        const device = await request.call(this, descriptor);
        self.addEventListener("message", ({ data }) => data.kind === "score" && device.destroy());
        return device;
      };`;
    await route.fulfill({ response, body: script + (await response.text()) });
  });
  await page.goto(`${site.url}?backend=webgpu`);
  await ready(page, "webgpu");
  for (let i = 0; i < 2; i++) {
    await page.getByTestId("essay-input").fill(`text ${i}`);
    await page.getByTestId("score-button").click();
    await expect(page.getByTestId("error")).toHaveText(/The graphics device was lost.*Reload the page/);
    await expect(page.getByTestId("score-button")).toBeEnabled();
  }
});

/** The script of an engine of the test's own: code that runs where it opens a bundle, and where it scores. */
const engine = (open: string, score: string) => `
  let device = null;
  self.addEventListener("message", ({ data }) => data.kind === "score" && device?.destroy());
  // As wasm stops in a task of its own: nothing answers whoever waits.
  const trap = () => new Promise(() => queueMicrotask(() => { throw new WebAssembly.RuntimeError("unreachable"); }));
  const says = (score) => {
    const trait = { score, grade: 3, calibrated: null, calibratedGrade: null, utility: null, nearest: [] };
    return new Promise((done) => setTimeout(() => done({ traits: [trait], tokens: 1, fullLength: 1 }), 500));
  };
  export class PageLoader {
    static async open() { ${open}; return new PageLoader(); }
    async put() {}
    put_tokenizer() {}
    finish() {
      return { score: (text) => ${score}, free() {} };
    }
    free() {}
  }
  export default async () => ({ memory: { buffer: new ArrayBuffer(0) } });`;

/** Puts such scripts in the places of the two engines. */
async function replaceEngines(page: Page, engines: Record<"webgpu" | "cpu", string>): Promise<void> {
  editManifest((manifest) => (manifest["golden"] = [{ text: "golden", score: 2, utility: null }]));
  for (const [backend, body] of Object.entries(engines)) {
    await page.context().route(`**/assets/pair2score_${backend}-*.js`, (route) => route.fulfill({ contentType: "text/javascript", body }));
  }
}

test("a device that was given up cannot harm the processor's scorer", async ({ page }) => {
  // On one core no further workers are hired.
  await page.addInitScript(() => Object.defineProperty(navigator, "hardwareConcurrency", { value: 1 }));
  // The graphics card computes wrongly, and its device is lost with the first text.
  const open = "device = await (await navigator.gpu.requestAdapter()).requestDevice()";
  await replaceEngines(page, { webgpu: engine(open, "says(99)"), cpu: engine("", "says(2)") });
  await page.goto(`${site.url}?backend=webgpu`);
  await ready(page, "cpu");
  await expect(page.locator("[data-code=webgpu-failed]")).toContainText("computes 99 where 2 is right");
  for (let i = 0; i < 2; i++) expect(await score(page, `text ${i}`)).toBe(2);
  await expect.poll(() => page.workers().length).toBe(1);
});

test("a device is checked with a text whose score lies within the scale", async ({ page }) => {
  // What a head gives to a single letter, and how packed weights round it on two devices.
  await replaceEngines(page, { webgpu: "", cpu: engine("", 'says(text === "a" ? -18.3 : 2)') });
  editManifest((manifest) => (manifest["golden"] as unknown[]).unshift({ text: "a", score: -18.08, utility: null }));
  await page.goto(`${site.url}?backend=cpu`);
  await ready(page, "cpu");
  editManifest((manifest) => (manifest["golden"] = [{ text: "a", score: 1.5, utility: null }, { text: "golden", score: -18, utility: null }]));
  await page.goto(`${site.url}?backend=cpu`);
  await expect(page.getByText("computes -18.3 where 1.5 is right")).toBeVisible();
});

test("wasm that stops on the graphics card while it loads gives way to the processor", async ({ page }) => {
  await replaceEngines(page, { webgpu: engine("await trap()", "says(2)"), cpu: engine("", "says(2)") });
  await page.goto(`${site.url}?backend=webgpu`);
  await ready(page, "cpu");
  await expect(page.locator("[data-code=webgpu-failed]")).toContainText("The scorer runs on the processor instead.");
  expect(await score(page, "A text.")).toBe(2);
});

test("wasm that stops is an error that says what to do, now and for later texts", async ({ page }) => {
  await replaceEngines(page, { webgpu: "", cpu: engine("", 'text === "golden" ? says(2) : trap()') });
  await open(page);
  await ready(page, "cpu");
  for (let i = 0; i < 2; i++) {
    await page.getByTestId("essay-input").fill(`text ${i}`);
    await page.getByTestId("score-button").click();
    await expect(page.getByTestId("error")).toHaveText(/^The program ran out of memory or lost its device\. Reload the page/);
    await expect(page.getByTestId("score-button")).toBeEnabled();
  }
});
