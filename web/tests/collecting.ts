// A collection as `pair2score serve --collect` serves it, killed and started again at will.

import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect } from "@playwright/test";
import { PROGRAM, SITE } from "./site";

export class Collection {
  readonly folder = mkdtempSync(join(tmpdir(), "pair2score-collect-"));
  /** By judge, and that of `the lead`. */
  readonly links = new Map<string, string>();
  private server: ChildProcess | null = null;
  private port = "0";

  /** Texts that say which documents they are, in documents.csv: the first word of a text is its id. */
  constructor(documents: number) {
    const row = (place: number) => `d${place},"d${place} <b>is</b> a text.\n${"Another sentence of it. ".repeat(100)}"\n`;
    const rows = Array.from({ length: documents }, (_, place) => row(place));
    writeFileSync(join(this.folder, "documents.csv"), `text_id,full_text\n${rows.join("")}`);
  }

  /** Starts the server, again on the same port. */
  async start(...options: string[]): Promise<void> {
    const args = ["serve", "--collect", "c.sqlite", "--page", SITE.folder, "--port", this.port, ...options];
    this.server = spawn(PROGRAM, args, { cwd: this.folder, stdio: ["ignore", "pipe", "inherit"] });
    if (!this.server.stdout) throw new Error("no output");
    for await (const line of createInterface({ input: this.server.stdout })) {
      const [, name, link] = /^([^:]+): (http.*#.*)$/.exec(line) ?? [];
      if (name && link) this.links.set(name, link);
      this.port = /^collecting .*http:\/\/[^:]+:(\d+)/.exec(line)?.[1] ?? this.port;
      if (line.startsWith("collecting")) return;
    }
    throw new Error("the server ended");
  }

  async stop(): Promise<void> {
    if (!this.server) return;
    const gone = once(this.server, "exit");
    this.server.kill("SIGKILL");
    await gone;
    this.server = null;
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true });
  }

  /** What the program prints. */
  program(...args: string[]): string {
    const { status, stdout, stderr } = spawnSync(PROGRAM, args, { cwd: this.folder, encoding: "utf8" });
    expect(status, stderr).toBe(0);
    return stdout;
  }

  read(name: string): string {
    return readFileSync(join(this.folder, name), "utf8");
  }
}
