// How long a pair was looked at: time with the page out of sight does not count.

export class Stopwatch {
  private spent = 0;
  private since: number | null = null;

  constructor() {
    document.addEventListener("visibilitychange", () => (document.hidden ? this.pause() : this.resume()));
  }

  restart(): void {
    this.spent = 0;
    this.since = document.hidden ? null : performance.now();
  }

  /** Milliseconds since the start. */
  get milliseconds(): number {
    return Math.round(this.spent + (this.since === null ? 0 : performance.now() - this.since));
  }

  private pause(): void {
    this.spent = this.milliseconds;
    this.since = null;
  }

  private resume(): void {
    this.since ??= performance.now();
  }
}
