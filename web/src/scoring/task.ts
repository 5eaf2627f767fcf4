// A button that starts something, a button that stops it, and a line that says how it goes.

import { byId } from "../shared/page/dom";
import { isAbort, messageOf } from "../shared/failure";

/** Whether there is nothing to read in a text. */
export function isBlank(text: string): boolean {
  return text.trim() === "";
}

export class Task {
  private controller: AbortController | null = null;
  private readonly button: HTMLButtonElement;
  private readonly cancel: HTMLButtonElement;
  private readonly status: HTMLElement;
  private ready = false;

  constructor(
    ids: { button: string; cancel: string; status: string },
    private readonly showError: (message: string) => void,
  ) {
    this.button = byId(ids.button, HTMLButtonElement);
    this.cancel = byId(ids.cancel, HTMLButtonElement);
    this.status = byId(ids.status, HTMLElement);
    this.cancel.addEventListener("click", () => {
      this.stop();
      // The button that had the focus goes away.
      this.button.focus();
    });
  }

  /** Allows the task to be started. */
  enable(): void {
    this.ready = true;
    this.update();
  }

  say(text: string): void {
    this.status.textContent = text;
  }

  /** Says why nothing was begun. */
  refuse(problem: string): void {
    if (!this.ready) return;
    this.say("");
    this.showError(problem);
  }

  /** Takes back what was said about what is no longer there. */
  forget(): void {
    this.showError("");
    if (this.ready && this.controller === null) this.say("");
  }

  /** Gets a text or a table from a file; what goes wrong is shown. */
  async fill(read: () => Promise<void>): Promise<void> {
    this.showError("");
    try {
      await read();
    } catch (error) {
      this.showError(messageOf(error));
    }
  }

  /** Stops what is being done. */
  stop(): void {
    this.controller?.abort();
  }

  /** Runs `work`; what it throws is shown, and a cancellation is no error. */
  async run(waiting: string, work: (signal: AbortSignal) => Promise<string>): Promise<void> {
    if (this.controller || !this.ready) return;
    this.controller = new AbortController();
    this.update();
    this.showError("");
    this.say(waiting);
    try {
      this.say(await work(this.controller.signal));
    } catch (error) {
      this.say(isAbort(error) ? "Cancelled." : "");
      if (!isAbort(error)) this.showError(messageOf(error));
    } finally {
      this.controller = null;
      this.update();
    }
  }

  private update(): void {
    this.button.disabled = !this.ready || this.controller !== null;
    this.cancel.hidden = this.controller === null;
  }
}
