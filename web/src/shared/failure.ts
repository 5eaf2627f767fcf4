// Errors with a code that the pages tell apart and a message that says what to do; those of the scorer are of the same kind.

import { asFailure } from "@pair2score/scorer";

export { asFailure, ScorerError as PageError, type Failure } from "@pair2score/scorer";

/** Failures after which another backend may help. */
const OF_DEVICES = ["device-lost", "crashed"];

/** What a reader is told about whatever was thrown. */
export function messageOf(error: unknown): string {
  const { code, message } = asFailure(error);
  return OF_DEVICES.includes(code) ? `${message} For that, add ?backend=cpu to its address.` : message;
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}
