// The lead's page of a collection: what it says is what the commands say, and links begin and end with it.

import { readFileSync } from "node:fs";
import { expect, test, type Page } from "@playwright/test";
import { Collection } from "./collecting";
import { steady } from "./judging";
import { shot } from "./sights";

let collection: Collection;

test.beforeEach(async () => {
  collection = new Collection(8);
  await collection.start(
    ...["--documents", "documents.csv", "--trait", "grammar", "--question", "Whose grammar is better?"],
    ...["--judge", "ann", "--judge", "bob", "--per-judge", "12", "--shared", "1", "--repeat-share", "0.3"],
  );
});
test.afterEach(() => collection.remove());

const lead = () => collection.links.get("the lead") ?? "";
const row = (page: Page, judge: string) => page.getByTestId("judge-rows").getByRole("row").filter({ has: page.getByRole("rowheader", { name: judge, exact: true }) });

/** Answers so many pairs by keys in a page of its own: the higher number is better. */
async function judge(page: Page, link: string, keys: string[]): Promise<void> {
  const judging = await page.context().newPage();
  await judging.goto(link);
  for (const [place, key] of keys.entries()) {
    await expect(judging.getByTestId("progress")).toContainText(`${place - keys.slice(0, place).filter((k) => k === "s").length} of 12`);
    await steady(judging);
    await judging.keyboard.press(key);
  }
  await expect(judging.getByTestId("undo")).toBeEnabled();
  await steady(judging);
  await judging.close();
}

test("the lead sees judges at work, and what the commands say of them", async ({ page }) => {
  const problems: string[] = [];
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  page.on("request", (request) => expect(request.url()).not.toContain(lead().split("#")[1] ?? "#"));
  await page.goto(lead());
  await expect(page.getByTestId("trust")).toHaveText("No judgements yet.");
  await expect(page.getByTestId("progress")).toHaveText("0 of 24 pairs done");
  await expect(row(page, "ann")).toContainText("never");
  await shot(page, "lead-empty");

  await judge(page, collection.links.get("ann") ?? "", ["ArrowLeft", "ArrowRight", "t", "s", "ArrowLeft", "ArrowLeft", "ArrowRight", "ArrowLeft"]);
  await judge(page, collection.links.get("bob") ?? "", ["ArrowLeft", "ArrowRight", "ArrowLeft", "t"]);
  // By itself.
  await expect(page.getByTestId("progress")).toHaveText("12 of 24 pairs done, 1 of them skipped", { timeout: 30_000 });
  await expect(page.getByTestId("n-judgements")).toHaveText("11");
  collection.program("judgements", "export", "c.sqlite", "--output", "log.jsonl");
  const stats = JSON.parse(collection.program("judgements", "stats", "log.jsonl", "--json")) as {
    trust: string;
    judges: { agreed: number; compared: number }[];
  };
  await expect(page.getByTestId("trust")).toHaveText(`${stats.trust}.`);
  expect(stats.trust).toMatch(/^Not reliable yet/);
  await expect(row(page, "ann")).toContainText("8 of 12, 1 skipped");
  await expect(row(page, "ann")).toContainText(/just now|min ago/);
  const of = ({ agreed, compared }: { agreed: number; compared: number }) =>
    `${Math.round((100 * agreed) / compared)}\u00a0% of ${compared}`;
  for (const [place, name] of ["ann", "bob"].entries()) {
    const judged = stats.judges[place];
    if (!judged || judged.compared === 0) throw new Error("nobody shared a pair");
    await expect(row(page, name)).toContainText(of(judged));
  }
  await shot(page, "lead");
  await page.getByText("For researchers").click();
  await expect(page.getByTestId("agreement")).toContainText("Cohen’s kappa");
  await shot(page, "lead-researchers");
  expect(problems).toEqual([]);
});

test("files are those that the commands write", async ({ page }) => {
  await judge(page, collection.links.get("ann") ?? "", ["ArrowLeft", "ArrowRight", "t"]);
  await page.goto(lead());
  const file = async (id: string) => {
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByTestId(id).click()]);
    return readFileSync(await download.path(), "utf8");
  };
  collection.program("judgements", "export", "c.sqlite", "--output", "log.jsonl", "--flags", "flags.csv");
  collection.program("judgements", "export", "c.sqlite", "--output", "log.csv");
  collection.program("judgements", "fit", "log.jsonl", "--output", "fit.csv");
  expect(await file("get-jsonl")).toBe(collection.read("log.jsonl"));
  expect(await file("get-csv")).toBe(collection.read("log.csv"));
  expect(await file("get-fit")).toBe(collection.read("fit.csv"));
  expect(await file("get-flags")).toBe(collection.read("flags.csv"));
});

test("links are made and switched off by keyboard alone", async ({ page, context }) => {
  await page.goto(lead());
  const answers = async (link: string) => {
    const other = await context.newPage();
    await other.goto(link);
    await expect(other.locator("#left-text:not(:empty), #error:not([hidden])").first()).toBeVisible();
    const isIn = await other.getByTestId("left-text").isVisible();
    await other.close();
    return isIn;
  };
  // What is not shown yet cannot be focused.
  await expect(page.getByTestId("judge-name")).toBeVisible();
  await page.getByTestId("judge-name").focus();
  await page.keyboard.type("Çem");
  await page.keyboard.press("Enter");
  const made = page.getByTestId("made-link");
  await expect(made).toBeFocused();
  const first = await made.inputValue();
  expect(first).toMatch(/\/judge#[0-9a-f]{48}$/);
  await expect(page.getByTestId("made")).toContainText("The link of Çem");
  await expect(row(page, "Çem")).toContainText("0 of 12");
  expect(await answers(first)).toBe(true);
  await shot(page, "lead-link");

  await page.getByRole("button", { name: "New link for Çem" }).focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("button", { name: "Cancel" })).toBeFocused();
  await shot(page, "lead-question");
  await page.keyboard.press("Escape");
  expect(await answers(first)).toBe(true);
  await page.keyboard.press("Enter");
  await page.keyboard.press("Shift+Tab");
  await expect(page.getByTestId("link-yes")).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(made).not.toHaveValue(first);
  const second = await made.inputValue();
  expect([await answers(first), await answers(second)]).toEqual([false, true]);

  await page.getByRole("button", { name: "Switch off the link of Çem" }).click();
  await page.getByTestId("link-yes").click();
  await expect(row(page, "Çem")).toContainText("switched off");
  await expect(page.getByTestId("status")).toHaveText("The link of Çem is switched off.");
  expect(await answers(second)).toBe(false);
  await page.getByTestId("judge-name").fill("ann");
  await page.getByTestId("make-link").click();
  await expect(page.getByTestId("error")).toContainText("there is a judge of this name");
});

test("whoever skips to the collection stays on the link", async ({ page }) => {
  await page.goto(lead());
  await expect(page.getByTestId("trust")).toBeVisible();
  await page.getByRole("link", { name: "Skip to the collection" }).focus();
  await page.keyboard.press("Enter");
  await expect(page.locator("#main")).toBeFocused();
  expect(page.url()).toBe(lead());
  await expect(page.getByTestId("error")).toBeHidden();
});

test("who holds another link, or none, sees nothing, and a server that is away is waited for", async ({ page }) => {
  await page.goto(lead().split("#")[0] ?? "");
  await expect(page.getByTestId("error")).toContainText("open the link that the server printed");
  const ann = (collection.links.get("ann") ?? "").split("#")[1] ?? "";
  await page.goto(`${lead().split("#")[0]}#${ann}`);
  await expect(page.getByTestId("error")).toContainText("this link is not valid");
  await expect(page.getByTestId("trust")).toBeHidden();
  await page.goto(lead());
  await expect(page.getByTestId("trust")).toBeVisible();
  await collection.stop();
  await expect(page.getByTestId("error")).toHaveText("The server does not answer, trying again…", { timeout: 30_000 });
  await collection.start("--per-judge", "12");
  await expect(page.getByTestId("error")).toBeHidden({ timeout: 30_000 });
});
