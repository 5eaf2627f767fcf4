// Which backend to use: WebGPU where there is a real adapter that can hold the scorer, else the CPU, and why.

import { ScorerError } from "../failure.ts";
import type { Backend } from "../protocol.ts";

export interface Choice {
  backend: Backend;
  /** What the reader should know about the choice. */
  notice: { code: string; message: string } | null;
}

const cpu = (code: string, message: string): Choice => ({ backend: "cpu", notice: { code, message } });

/** `forced` comes from the address; `largest` is the largest buffer the scorer needs, in bytes. */
export async function chooseBackend(forced: Backend | null, largest: number, needsF16: boolean): Promise<Choice> {
  if (forced === "cpu") return { backend: "cpu", notice: null };
  if (!("gpu" in navigator) || !navigator.gpu) {
    return cpu("no-webgpu", "This browser has no WebGPU, so the scorer runs on the processor.");
  }
  const adapter = await navigator.gpu.requestAdapter().catch(() => null);
  if (!adapter) return cpu("no-adapter", "WebGPU found no graphics adapter, so the scorer runs on the processor.");
  if (adapter.info.isFallbackAdapter && forced !== "webgpu") {
    return cpu("fallback-adapter", "WebGPU has only a software adapter here, so the scorer runs on the processor, which is faster.");
  }
  const limit = Math.min(adapter.limits.maxBufferSize, adapter.limits.maxStorageBufferBindingSize);
  if (largest > limit) {
    return cpu(
      "small-buffers",
      `The graphics adapter holds at most ${mebibytes(limit)} in one buffer and the scorer needs ${mebibytes(largest)}, so it runs on the processor.`,
    );
  }
  if (needsF16 && !adapter.features.has("shader-f16")) {
    return {
      backend: "webgpu",
      notice: {
        code: "no-shader-f16",
        message: "The graphics adapter does not compute in 16 bits, so the weights take twice the memory there.",
      },
    };
  }
  return { backend: "webgpu", notice: null };
}

/** Hears when the device that the wasm opens is lost: its own calls would wait for ever. */
export function watchDevice(onLost: (error: ScorerError) => void): void {
  const requestDevice = GPUAdapter.prototype.requestDevice;
  GPUAdapter.prototype.requestDevice = async function (descriptor) {
    const device = await requestDevice.call(this, descriptor);
    void device.lost.then(({ message }) => {
      const reason = message ? ` (${message})` : "";
      onLost(
        new ScorerError(
          "device-lost",
          `The graphics device was lost${reason}. Reload the page; if it happens again, load with the backend cpu.`,
        ),
      );
    });
    return device;
  };
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}
