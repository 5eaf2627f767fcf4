// Writes docs/page.png, the first picture of README.md: the built page with the ready scorer, which has read a sample.
//
//     scripts/web.sh && node web/scripts/picture.mjs
//
// PAIR2SCORE names the program that serves the page, CHROMIUM the browser.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "@playwright/test";

const path = (name) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const program = process.env["PAIR2SCORE"] ?? path("target/release/pair2score");
// The text area follows the height of the window: this one shows the sample and no empty lines.
const window = { width: 900, height: 800 };

const server = spawn(program, ["serve", "--site", path("web/dist"), "--port", "0"], { stdio: ["ignore", "pipe", "inherit"] });
try {
  const [line] = await once(createInterface({ input: server.stdout }), "line");
  const browser = await chromium.launch({
    executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
    args: ["--no-sandbox"],
  });
  const page = await browser.newPage({ viewport: window, deviceScaleFactor: 0.75, colorScheme: "light" });
  await page.goto(/http:\S+/.exec(line)[0]);
  await page.getByRole("button", { name: "on the way" }).click();
  await page.getByTestId("score-button").click();
  await page.getByTestId("score-value").and(page.locator("[data-exact]")).waitFor({ timeout: 120_000 });
  // Down to the score's place among the training labels, which is below the window.
  const { bottom } = await page.evaluate(() => {
    scrollTo(0, 0);
    return document.querySelector("#histogram").getBoundingClientRect().toJSON();
  });
  await page.screenshot({ path: path("docs/page.png"), fullPage: true, clip: { x: 0, y: 0, width: window.width, height: bottom + 8 } });
  await browser.close();
} finally {
  server.kill();
}
