// "Use as a scorer": what was judged becomes a scorer for texts to come, kept in this browser and to be downloaded.

import type { JudgementCalls } from "../shared/judging-protocol";
import { BUNDLE_CACHE, judgedBundle, Scorer } from "@pair2score/scorer";
import { PageError } from "../shared/failure";
import { byId, setText } from "../shared/page/dom";
import { download } from "../shared/page/download";
import * as format from "../shared/page/format";
import { siteBundle } from "../shared/page/site";
import type { Caller } from "./calls";
import type { Desk } from "./desk";
import { readerOf } from "./site-scorer";

/** Grades that a scale needs at least. */
const LEAST = 3;
/** Heads mean something on the embeddings alone of which they were made. */
const OTHER_READER = new PageError(
  "other-scorer",
  "The texts were read by another scorer than this site has now, or with another prompt. Let it read them again: choose “With the scorer of this site” under Settings, and reload the page.",
);

export class UseAsScorer {
  private desk: Desk | null = null;
  private isMaking = false;
  private readonly make = byId("use-scorer", HTMLButtonElement);

  constructor(
    private readonly worker: Caller<JudgementCalls>,
    private readonly say: (text: string) => void,
    private readonly fail: (error: unknown) => void,
  ) {
    this.make.addEventListener("click", () => void this.build());
    byId("download-scorer", HTMLButtonElement).addEventListener("click", () => void this.save());
  }

  open(desk: Desk): void {
    this.desk = desk;
    void this.showKept();
  }

  /** Says what is missing, or that nothing is. */
  update(): void {
    const { desk } = this;
    if (!desk) return;
    const reason = missing(desk);
    this.make.disabled = reason !== "" || this.isMaking;
    setText("use-note", reason || "Your judgements and grades become a scorer for other texts. It stays in this browser, and works without network.");
  }

  private async build(): Promise<void> {
    const { desk } = this;
    if (!desk || this.isMaking) return;
    this.isMaking = true;
    this.update();
    let scorer: Scorer | null = null;
    try {
      this.say("The scorer is being made…");
      const { evidence, project } = desk;
      const heads = await this.worker.call("heads", { ...evidence, target: project.target });
      // On the processor, whose numbers a bundle is made of.
      scorer = await Scorer.load(siteBundle(), { backend: "cpu" });
      if ((await readerOf(scorer.info, project)) !== evidence.reading?.scorer) throw OTHER_READER;
      await scorer.keepJudged(heads, evidence.reading.place, judgedBundle(project.id, window.location.href));
      this.say("The scorer is ready.");
      await this.showKept();
    } catch (error) {
      this.fail(error);
    } finally {
      scorer?.dispose();
      this.isMaking = false;
      this.update();
    }
  }

  /** Offers the scorer that was made before. */
  private async showKept(): Promise<void> {
    const { desk } = this;
    if (!desk) return;
    const isKept = "caches" in window && (await (await caches.open(BUNDLE_CACHE)).match(manifestOf(desk))) !== undefined;
    if (desk !== this.desk) return;
    const link = byId("open-scorer", HTMLAnchorElement);
    link.href = `./index.html?scorer=${encodeURIComponent(desk.project.id)}`;
    link.hidden = !isKept;
    byId("download-scorer", HTMLButtonElement).hidden = !isKept;
    setText("use-scorer", isKept ? "Make it anew" : "Make a scorer");
  }

  private async save(): Promise<void> {
    if (!this.desk) return;
    try {
      download(`${this.desk.project.target}-scorer.zip`, await zipped(this.desk), "application/zip");
    } catch (error) {
      this.fail(error);
    }
  }
}

function manifestOf({ project }: Desk): string {
  return new URL("manifest.json", judgedBundle(project.id, window.location.href)).href;
}

/** What a scorer still needs; empty for nothing. */
function missing(desk: Desk): string {
  if (!desk.reading) return "Let the scorer of this site read the texts first: choose that under Settings, “Which pair comes next”.";
  const grades = new Set(desk.session.grades.values());
  if (desk.session.grades.size < LEAST) return `Type the grades of at least ${format.count(LEAST, "text")} into the table first.`;
  return grades.size < 2 ? "The grades are all the same. Grade texts that differ." : "";
}

interface Manifest {
  shards: { file: string; sha256: string }[];
  tokenizer: { file: string; sha256: string };
}

/** The files of the bundle as an archive, which takes the place of the folder `bundle` of a site. */
async function zipped(desk: Desk): Promise<Blob> {
  const { Zip, ZipPassThrough } = await import("fflate");
  const cache = await caches.open(BUNDLE_CACHE);
  const kept = async (url: string) => {
    const response = await cache.match(url);
    if (!response) throw new PageError("not-kept", "The scorer is not in this browser any more. Make it again.");
    return new Uint8Array(await response.arrayBuffer());
  };
  const text = await kept(manifestOf(desk));
  const manifest = JSON.parse(new TextDecoder().decode(text)) as Manifest;
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const zip = new Zip((error, part) => {
    if (error) throw error;
    parts.push(part as Uint8Array<ArrayBuffer>);
  });
  const add = (name: string, bytes: Uint8Array) => {
    const entry = new ZipPassThrough(`bundle/${name}`);
    zip.add(entry);
    entry.push(bytes, true);
  };
  add("manifest.json", text);
  for (const { file, sha256 } of [...manifest.shards, manifest.tokenizer]) {
    add(file, await kept(new URL(`sha256/${sha256}`, judgedBundle(desk.project.id, window.location.href)).href));
  }
  zip.end();
  return new Blob(parts, { type: "application/zip" });
}
