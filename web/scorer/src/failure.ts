// Errors with a code that programs tell apart and a message that says what to do.

/** An error as it crosses between the worker and whoever uses it. */
export interface Failure {
  code: string;
  message: string;
}

export class ScorerError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** Whatever was thrown, as it crosses. */
export function asFailure(thrown: unknown): Failure {
  if (isFailure(thrown)) return { code: thrown.code, message: thrown.message };
  if (thrown instanceof WebAssembly.RuntimeError || thrown instanceof RangeError) {
    return {
      code: "crashed",
      message: "The program ran out of memory or lost its device. Reload the page; if it happens again, load with the backend cpu.",
    };
  }
  return { code: "unexpected", message: thrown instanceof Error ? thrown.message : String(thrown) };
}

function isFailure(thrown: unknown): thrown is Failure {
  if (typeof thrown !== "object" || thrown === null) return false;
  const { code, message } = thrown as Partial<Record<keyof Failure, unknown>>;
  return typeof code === "string" && typeof message === "string";
}
