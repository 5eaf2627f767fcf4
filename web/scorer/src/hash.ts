/** SHA-256 of a text in hexadecimal; where the address is not secure there is none, and length and sum tell texts apart. */
export async function sha256(text: string): Promise<string> {
  const bytes = new TextEncoder().encode(text);
  if (!("subtle" in crypto)) return `${bytes.length}-${bytes.reduce((sum, byte) => (Math.imul(sum, 31) + byte) >>> 0, 0)}`;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
