// The prompt that texts answer, for a scorer that reads it with them.

import { byId, submitByKeys } from "../shared/page/dom";

export class PromptField {
  private readonly section: HTMLElement;
  private readonly input: HTMLTextAreaElement;

  /** `id` is that of the field, and with `-section` after it that of what is around it, which is hidden at first. */
  constructor(id: string, changed: () => void) {
    this.section = byId(`${id}-section`, HTMLElement);
    this.input = byId(id, HTMLTextAreaElement);
    this.input.addEventListener("input", changed);
    submitByKeys(this.input);
  }

  show(isShown: boolean): void {
    this.section.hidden = !isShown;
  }

  /** What is in the field; null where nobody is asked for it. */
  get value(): string | null {
    return this.section.hidden ? null : this.input.value;
  }

  set value(prompt: string) {
    this.input.value = prompt;
  }
}
