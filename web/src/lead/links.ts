// Links of judges: made, renewed and switched off. A link is shown once, because the server keeps only its hash.

import { byId, setText } from "../shared/page/dom";
import { fail, say } from "../shared/page/messages";
import type { LeadServer } from "./server";

interface Question {
  title: string;
  text: string;
  yes: string;
  then(): Promise<void>;
}

export class Links {
  private readonly dialog = byId("link-dialog", HTMLDialogElement);
  private readonly made = byId("made-link", HTMLInputElement);
  private question: Question | null = null;

  constructor(
    private readonly server: LeadServer,
    /** Something has changed. */
    private readonly onChange: () => void,
  ) {
    byId("add-judge", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      const field = byId("judge-name", HTMLInputElement);
      void this.make("judges", field.value.trim()).then((isMade) => {
        if (isMade) field.value = "";
      });
    });
    byId("link-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      this.dialog.close();
      void this.question?.then();
    });
    byId("link-cancel", HTMLButtonElement).addEventListener("click", () => this.dialog.close());
    byId("copy-link", HTMLButtonElement).addEventListener("click", () => void this.copy());
    this.made.addEventListener("focus", () => this.made.select());
  }

  /** Another link for a judge; where there is one, it ends. */
  renew(judge: string, hasLink: boolean): void {
    if (!hasLink) return void this.make("links", judge);
    this.ask({
      title: `A new link for ${judge}?`,
      text: "The link they have now ends at once, in every browser where it is open. What they judged stays.",
      yes: "Make a new link",
      then: async () => void (await this.make("links", judge)),
    });
  }

  switchOff(judge: string): void {
    this.ask({
      title: `Switch off the link of ${judge}?`,
      text: "It ends at once. What they judged stays, and you can make them a new link later.",
      yes: "Switch off",
      then: async () => {
        try {
          await this.server.switchOff(judge);
          say(`The link of ${judge} is switched off.`);
        } catch (error) {
          fail(error);
        }
        this.onChange();
      },
    });
  }

  private ask(question: Question): void {
    this.question = question;
    setText("link-title", question.title);
    setText("link-text", question.text);
    setText("link-yes", question.yes);
    this.dialog.showModal();
  }

  private async make(kind: "judges" | "links", judge: string): Promise<boolean> {
    try {
      this.made.value = await this.server.link(kind, judge);
    } catch (error) {
      fail(error);
      return false;
    }
    setText("made-for", `The link of ${judge}`);
    byId("made", HTMLElement).hidden = false;
    say("");
    this.made.focus();
    this.onChange();
    return true;
  }

  /** Browsers let a page copy only where the connection is safe; the field is selected either way. */
  private async copy(): Promise<void> {
    this.made.focus();
    try {
      await navigator.clipboard.writeText(this.made.value);
      say("The link is copied.");
    } catch {
      say("Copy the marked link with Ctrl+C.");
    }
  }
}
