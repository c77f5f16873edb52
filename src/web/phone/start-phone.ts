import type { ComponentType } from "preact";
import { read } from "./stored-phone.ts";
import type { PhoneStart } from "./phone-gate.tsx";

/** @returns what a phone shows without its machine; null: this browser is no paired phone */
export async function startPhone(): Promise<ComponentType | null> {
  const fragment = isLink() ? location.hash : null;
  // An app of the home screen that is open gets the link of a code without a load.
  addEventListener("hashchange", () => isLink() && location.reload());
  if (fragment !== null) history.replaceState(null, "", location.pathname);
  const kept = await readAll().catch(() => ({ pairing: null, phone: null, ended: null }));
  const isPhone = Object.values({ fragment, ...kept }).some((one) => one !== null);
  return isPhone ? (await import("./phone-gate.tsx")).openGate({ fragment, ...kept }) : null;
}

async function readAll(): Promise<Omit<PhoneStart, "fragment">> {
  const [pairing, phone, ended] = await Promise.all([read("pairing"), read("phone"), read("ended")]);
  return { pairing, phone, ended };
}

function isLink(): boolean {
  return location.hash.startsWith("#pair=");
}
