import type { ComponentType } from "preact";
import { read } from "./stored-phone.ts";
import type { PhoneStart } from "./phone-gate.tsx";

/** @returns what a phone shows without its machine; null: this browser is no paired phone */
export async function startPhone(): Promise<ComponentType | null> {
  const fragment = isLink() ? location.hash : null;
  // An app of the home screen that is open gets the link of a code without a load.
  addEventListener("hashchange", () => isLink() && location.reload());
  if (fragment !== null) history.replaceState(null, "", location.pathname);
  const kept = await readAll().catch(() => ({ pairing: null, phones: [], ended: [] }));
  const isPhone = fragment !== null || kept.pairing !== null || kept.phones.length + kept.ended.length > 0;
  return isPhone ? (await import("./phone-gate.tsx")).openGate({ fragment, ...kept }) : null;
}

async function readAll(): Promise<Omit<PhoneStart, "fragment">> {
  const [pairing, phones, ended] = await Promise.all([read("pairing"), read("phones"), read("ended")]);
  return { pairing, phones: phones ?? [], ended: ended ?? [] };
}

function isLink(): boolean {
  return location.hash.startsWith("#pair=");
}
