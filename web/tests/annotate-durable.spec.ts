// Crashes, several tabs, several projects, no network: what the annotation page keeps, and that it sends nothing.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, expect, test, type Page } from "@playwright/test";
import { add, address, begin, exported, judge, judged, serveSite, shown, site, table } from "./judging";

serveSite();

test("killed in the middle: nothing that was acknowledged is lost", async () => {
  const profile = mkdtempSync(join(tmpdir(), "pair2score-profile-"));
  // Started here, so that all of it can be killed at once; a driver would close it in good order.
  const launch = async () => {
    const args = ["--headless=new", "--no-sandbox", "--remote-debugging-port=0", `--user-data-dir=${profile}`, "--no-first-run", "--disable-quic"];
    const browser = spawn(process.env["CHROMIUM"] ?? "/usr/bin/chromium", [...args, "about:blank"], { detached: true, stdio: ["ignore", "ignore", "pipe"] });
    const gone = once(browser, "exit");
    const endpoint = await new Promise<string>((resolve, reject) => {
      let said = "";
      browser.once("exit", () => reject(new Error(`the browser ended: ${said}`)));
      browser.stderr.on("data", (chunk: Buffer) => {
        said += chunk.toString();
        const found = /ws:\/\/\S+/.exec(said)?.[0];
        if (found) resolve(found);
      });
    });
    const connection = await chromium.connectOverCDP(endpoint);
    const context = connection.contexts()[0];
    const page = context?.pages()[0] ?? (await context?.waitForEvent("page"));
    if (!page || browser.pid === undefined) throw new Error("the browser did not start");
    const group = -browser.pid;
    const kill = async () => {
      process.kill(group, "SIGKILL");
      await gone;
    };
    return { page, kill };
  };
  try {
    let acknowledged = 0;
    for (let round = 0; round < 3; round++) {
      const { page, kill } = await launch();
      try {
        if (round === 0) await begin(page, 6);
        else await page.goto(address());
        await expect(page.getByTestId("progress")).toHaveText(/\d+ of/);
        const found = Number(((await page.getByTestId("progress").textContent()) ?? "").split(" ")[0]);
        // One more may have reached the disk than the page could say.
        expect([acknowledged, acknowledged + 1]).toContain(found);
        await judge(page, found, found + 4);
        acknowledged = found + 4;
        // Killed while another answer is on its way.
        void page.keyboard.press("ArrowLeft").catch(() => undefined);
      } finally {
        await kill();
      }
    }
    const { page, kill } = await launch();
    try {
      await page.goto(address());
      await expect(page.getByTestId("progress")).toHaveText(new RegExp(`^(${acknowledged}|${acknowledged + 1}) of`));
    } finally {
      await kill();
    }
  } finally {
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
});

test("a pair that cannot be chosen for a moment: the one before is not answered twice", async ({ page }) => {
  await page.addInitScript(() => {
    const state = Object.assign(window, { isBroken: false });
    const post = Worker.prototype.postMessage as (this: Worker, ...call: unknown[]) => void;
    Worker.prototype.postMessage = function (this: Worker, ...sent: unknown[]) {
      const call = sent[0] as { id: number; kind: string };
      if (!state.isBroken || call.kind !== "next") return post.apply(this, sent);
      const error = { code: "broken", message: "No pair was chosen." };
      this.dispatchEvent(new MessageEvent("message", { data: { id: call.id, error } }));
    };
  });
  const broken = (isBroken: boolean) => page.evaluate((isBroken) => Object.assign(window, { isBroken }) && undefined, isBroken);
  await begin(page, 5);
  await broken(true);
  // The pair after the first was chosen before.
  await judge(page, 0, 1);
  const second = await shown(page);
  for (let press = 0; press < 3; press++) {
    await page.keyboard.press("ArrowLeft");
    await judged(page, 2);
    await expect(page.getByTestId("error")).toHaveText("No pair was chosen.");
    expect(await shown(page)).toEqual(second);
  }
  await broken(false);
  await page.keyboard.press("ArrowLeft");
  await expect.poll(() => shown(page)).not.toEqual(second);
  await judged(page, 2);
  await judge(page, 2, 4);
  expect(new Set((await exported(page)).lines.map(({ a, b }) => `${a} ${b}`)).size).toBe(4);
});

test("a pair whose texts cannot be read is not answered", async ({ page }) => {
  await begin(page, 3);
  const [left = 0, right = 0] = await shown(page);
  // The next pair needs the third text.
  await page.evaluate(async (id) => {
    const done = <T>(request: IDBRequest<T>) => new Promise<T>((resolve, reject) => Object.assign(request, { onsuccess: () => resolve(request.result), onerror: reject }));
    const database = await done(indexedDB.open("pair2score-judgements"));
    const [project] = await done(database.transaction("projects").objectStore("projects").getAllKeys());
    if (project !== undefined) await done(database.transaction("documents", "readwrite").objectStore("documents").delete([project, id]));
    database.close();
  }, `d${3 - left - right}`);
  for (let press = 0; press < 2; press++) {
    await page.keyboard.press("ArrowLeft");
    await judged(page, 1);
    await expect(page.getByTestId("error")).toContainText("is not here any more");
    expect(await shown(page)).toEqual([left, right]);
  }
});

test("two tabs on one project: every judgement of both is kept, and each sees the other's", async ({ page, context }) => {
  await begin(page, 12);
  const other = await context.newPage();
  await other.goto(page.url());
  await judged(other, 0);
  expect(await shown(other)).not.toEqual(await shown(page));
  // Both at once, without waiting for each other.
  const hurry = async (tab: Page, n: number) => {
    for (let i = 0; i < n; i++) {
      const before = await shown(tab);
      // A tab in the background is not drawn, and a click would wait for that.
      await tab.getByTestId("choose-left").dispatchEvent("click");
      await expect.poll(() => shown(tab), { intervals: [10] }).not.toEqual(before);
    }
  };
  await Promise.all([hurry(page, 10), hurry(other, 10)]);
  await judged(page, 20);
  await judged(other, 20);
  const { lines } = await exported(page);
  expect(new Set(lines.map((line) => JSON.stringify(line))).size).toBe(20);
  expect((await exported(other)).lines).toEqual(lines);
  // Repeats aside, no pair was given to both.
  expect(new Set(lines.map(({ a, b }) => `${a} ${b}`)).size).toBeGreaterThanOrEqual(17);
  await other.keyboard.press("u");
  await judged(other, 19);
  await judged(page, 19);
});

test("several projects are apart", async ({ page }) => {
  await begin(page, 3);
  await judge(page, 0, 2);
  await page.getByTestId("new-project").click();
  await page.getByTestId("new-name").fill("Second");
  await page.getByTestId("create-project").click();
  await expect(page.getByTestId("documents-count")).toHaveText("There are no documents yet.");
  await add(page, table(4));
  await expect(page.getByTestId("left-text")).toBeVisible();
  await judged(page, 0);
  await expect(page.getByTestId("project").locator("option:checked")).toHaveText("Second");
  await page.reload();
  await expect(page.getByTestId("project").locator("option:checked")).toHaveText("Second");
  // Skipping to the pair leaves the address alone, which says what is open.
  const second = page.url();
  await page.getByRole("link", { name: "Skip to the pair" }).focus();
  await page.keyboard.press("Enter");
  await expect(page.locator("#main")).toBeFocused();
  expect(page.url()).toBe(second);
  await page.getByTestId("project").selectOption("Project 1");
  await judged(page, 2);
  await page.getByRole("tab", { name: "Settings" }).click();
  await page.getByRole("button", { name: "Delete this project…" }).click();
  await expect(page.getByRole("dialog")).toContainText("“Project 1” has 3 documents and 2 answers.");
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await expect(page.getByTestId("project").locator("option")).toHaveText(["Second"]);
});

async function createProject(page: Page, name: string): Promise<void> {
  await page.getByTestId("new-project").click();
  await page.getByTestId("new-name").fill(name);
  await page.getByTestId("create-project").click();
  await expect(page.getByTestId("project").locator("option:checked")).toHaveText(name);
}

test("an import that ends when another project is open leaves that one alone", async ({ page }) => {
  // The import waits until it is let go.
  await page.addInitScript(() => {
    const held: (() => void)[] = [];
    const state = Object.assign(window, { isHolding: false, letGo: () => held.splice(0).forEach((send) => send()) });
    const post = Worker.prototype.postMessage as (this: Worker, ...call: unknown[]) => void;
    Worker.prototype.postMessage = function (this: Worker, ...sent: unknown[]) {
      const send = () => post.apply(this, sent);
      if (state.isHolding && (sent[0] as { kind: string }).kind === "import") held.push(send);
      else send();
    };
  });
  await begin(page, 4);
  await createProject(page, "Second");
  await page.evaluate(() => Object.assign(window, { isHolding: true }) && undefined);
  await add(page, ["text_id,full_text,anchor", ...Array.from({ length: 30 }, (_, i) => `e${i},text ${i},3`)].join("\n"));
  await expect(page.getByTestId("status")).toHaveText("Reading class.csv…");
  await page.getByTestId("project").selectOption("Project 1");
  await expect(page.getByTestId("left-text")).toBeVisible();
  await page.getByRole("tab", { name: "Settings" }).click();
  await page.evaluate(() => (window as unknown as { letGo: () => void }).letGo());
  // Grades are the last that an import writes.
  const entries = () =>
    page.evaluate(async () => {
      const done = <T>(request: IDBRequest<T>) => new Promise<T>((resolve, reject) => Object.assign(request, { onsuccess: () => resolve(request.result), onerror: reject }));
      const database = await done(indexedDB.open("pair2score-judgements"));
      const count = await done(database.transaction("log").objectStore("log").count());
      database.close();
      return count;
    });
  await expect.poll(entries).toBe(1);
  await expect(page.locator("#panel-settings")).toBeVisible();
  await expect(page.getByTestId("error")).toBeHidden();
  await page.getByRole("tab", { name: "Judge" }).click();
  await judge(page, 0, 8);
  await expect(page.getByTestId("error")).toBeHidden();
  await page.getByTestId("project").selectOption("Second");
  await expect(page.getByTestId("documents-count")).toHaveText("30 documents in this project.");
});

test("of projects that are chosen in a hurry the last one is open", async ({ page }) => {
  await begin(page, 4);
  for (const name of ["Second", "Third"]) await createProject(page, name);
  await page.getByTestId("project").evaluate((select: HTMLSelectElement) => {
    for (const index of [1, 0]) {
      select.selectedIndex = index;
      select.dispatchEvent(new Event("change"));
    }
  });
  await expect(page.getByTestId("left-text")).toBeVisible();
  await expect(page.getByTestId("project").locator("option:checked")).toHaveText("Project 1");
  await judge(page, 0, 2);
  await expect(page.getByTestId("error")).toBeHidden();
});

test("what could not be saved is not called saved, and is not lost", async ({ page }) => {
  await page.addInitScript(() => {
    const state = Object.assign(window, { full: "" });
    for (const name of ["put", "add"] as const) {
      const write = IDBObjectStore.prototype[name];
      IDBObjectStore.prototype[name] = function (this: IDBObjectStore, ...entry: [unknown, IDBValidKey?]) {
        const request = write.apply(this, entry);
        if (this.name === state.full) this.transaction.abort();
        return request;
      };
    }
  });
  const full = (store: string) => page.evaluate((full) => Object.assign(window, { full }) && undefined, store);
  const [error, status] = [page.getByTestId("error"), page.getByTestId("status")];
  await begin(page, 3);
  await page.getByRole("tab", { name: "Settings" }).click();
  await full("projects");
  const question = page.getByLabel("Question");
  const before = await question.inputValue();
  await question.fill("Which is clearer?");
  await question.blur();
  await expect(error).toHaveText(/^This could not be saved/);
  await expect(status).toBeHidden();
  await expect(question).toHaveValue(before);

  // A correction that failed is still in the dialog, also where a new name would have been saved.
  await full("documents");
  await page.getByRole("tab", { name: "Documents" }).click();
  await page.getByRole("button", { name: "d1", exact: true }).click();
  await page.getByTestId("document-text").fill("A better text.");
  await page.getByTestId("document-name").fill("Ann");
  const dialog = page.getByTestId("document-dialog");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(page.getByTestId("document-problem")).toHaveText(/^This could not be saved/);
  await full("");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(dialog).toBeHidden();
  await expect(error).toBeHidden();
  await page.getByRole("button", { name: "Ann", exact: true }).click();
  await expect(page.getByTestId("document-text")).toHaveValue("A better text.");
  await dialog.getByRole("button", { name: "Cancel" }).click();

  // Texts that were added, but not their grades.
  await full("log");
  await add(page, "text_id,full_text,anchor\nnew,text 9,3\n");
  await expect(page.getByTestId("documents-count")).toHaveText("4 documents in this project.");
  await expect(error).toHaveText(/^This could not be saved/);
  await expect(status).toBeHidden();
});

test("works without network, sends nothing, asks nobody else", async ({ page, context }) => {
  const foreign: string[] = [];
  context.on("request", (request) => {
    if (!request.url().startsWith(site.url) && !request.url().startsWith("blob:")) foreign.push(request.url());
    if (request.method() !== "GET") foreign.push(request.method());
  });
  await begin(page, 4);
  await judge(page, 0, 3);
  await expect(page.locator("#offline")).toBeVisible();
  await expect(page.getByTestId("bytes-sent")).toHaveText("0");
  await context.setOffline(true);
  await page.reload();
  await judged(page, 3);
  await expect(page.getByTestId("left-text")).toHaveText(/^text \d+$/);
  await judge(page, 3, 5);
  await expect(page.getByTestId("reliability")).toHaveText(/eliable/);
  expect(foreign).toEqual([]);
  await context.setOffline(false);
  await page.getByRole("link", { name: "Score texts" }).click();
  await page.getByRole("link", { name: "Judge pairs" }).click();
  await judged(page, 5);
});
