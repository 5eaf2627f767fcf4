// Names that nothing else has.

/** 128 random bits, in hexadecimal. Unlike `crypto.randomUUID` it is there on a plain http address too. */
export function newId(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
