import type { Backend } from "../backend.ts";
import { workerUrl } from "./worker-url.ts";
import { read } from "./stored-phone.ts";

/** @returns the machine that this browser is paired with; null: it is with none */
export async function storedBackend(): Promise<Backend | null> {
  const phone = await read("phone").catch(() => null);
  if (phone === null) return null;
  // Without one the page works, and cannot be notified.
  void navigator.serviceWorker?.register(workerUrl()).catch(() => undefined);
  const { PhoneBackend } = await import("./phone-backend.ts");
  return new PhoneBackend(phone);
}
