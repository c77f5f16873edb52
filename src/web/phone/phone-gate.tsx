import { signal } from "@preact/signals";
import type { ComponentType, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { readPairingFragment } from "../../pairing/pairing.ts";
import type { Refused } from "../backend.ts";
import { randomText } from "../../pairing/sealing.ts";
import { browserClock } from "../keep-live.ts";
import { announce, backend } from "../page-state.ts";
import { later } from "../parts/later.tsx";
import { Trouble } from "../parts/pieces.tsx";
import { awaitGrant, beginPairing, introduce, numberOf, pairingDeps, pairingTrouble, phoneName } from "./pair.ts";
import { Machines } from "./machines.ts";
import { browserPhone, PhoneBackend, type PhoneDeps } from "./phone-backend.ts";
import { endPush, registerWorker, renewPush } from "./push.ts";
import { change, forget, keep, read, type BegunPairing, type StoredPhone } from "./stored-phone.ts";

/** Everything that this browser has kept, and the link that it was opened by. */
export interface PhoneStart {
  /** Fragment of the link, which has left the address. */
  readonly fragment: string | null;
  readonly pairing: BegunPairing | null;
  readonly phones: readonly StoredPhone[];
  /** Names of machines whose pairing is over. */
  readonly ended: readonly string[];
}

type Shown =
  | { readonly kind: "pairing"; readonly start: PhoneStart }
  | { readonly kind: "over" | "forgotten"; readonly machine: string };

const Ended = later(async () => (await import("./ended-view.tsx")).Ended);

const shown = signal<Shown | null>(null);

/** Opens the machines that this phone is paired with, or what there is to show instead. */
export function openGate(start: PhoneStart): ComponentType {
  const { fragment, pairing, phones, ended } = start;
  if (fragment !== null || pairing !== null) shown.value = { kind: "pairing", start };
  else if (phones.length > 0) usePhones(phones);
  else shown.value = { kind: "over", machine: ended.join(", ") };
  return Gate;
}

function usePhones(phones: readonly StoredPhone[]): void {
  // Without one the page works, and is neither kept nor notified.
  void registerWorker().catch(() => undefined);
  const leave = async (phone: StoredPhone, kind: "over" | "forgotten"): Promise<void> => {
    const rest = await change("phones", (all) => (all ?? []).filter(({ id }) => id !== phone.id));
    if (kind === "over") await change("ended", (all) => [...(all ?? []), phone.machine]);
    const left = machines.all.value.find((one) => one.phone === phone);
    if (left !== undefined) machines.remove(left);
    announce(`${phone.machine} ${kind === "over" ? "has ended its pairing, or it has lapsed" : "is forgotten"}.`);
    if (rest.length > 0) return;
    await Promise.all([forget("push"), endPush()]);
    shown.value = { kind, machine: phone.machine };
    backend.value = null;
  };
  const deps: PhoneDeps = {
    ...browserClock,
    ...browserPhone,
    onOver: (phone) => leave(phone, "over"),
    forget: (phone) => leave(phone, "forgotten"),
    onReached(machine, isThere, heardAt) {
      const { id } = machine.phone;
      const heard = (one: StoredPhone): StoredPhone => (one.id === id ? { ...one, heardAt } : one);
      void change("phones", (all) => (all ?? []).map(heard));
      if (isThere) void renewPush(machine);
    },
  };
  const machines = new Machines(phones.map((phone) => new PhoneBackend(phone, deps)));
  shown.value = null;
  backend.value = machines;
}

function Gate(): JSX.Element | null {
  if (shown.value === null) return null;
  if (shown.value.kind === "pairing") return <PairingView start={shown.value.start} />;
  const { kind, machine } = shown.value;
  return (
    <main id="main" class="narrow">
      <Ended kind={kind} machine={machine} />
      <Again />
      <p>
        <button type="button" onClick={() => void leaveGate()} children="Sign in with a token" />
      </p>
    </main>
  );
}

async function leaveGate(): Promise<void> {
  await Promise.all([forget("ended"), forget("pairing")]);
  location.reload();
}

function Again(): JSX.Element {
  return (
    <p>
      To pair again: run <code>shim pair</code> on the machine, and scan its code.
    </p>
  );
}

/** This phone has opened a link: it introduces itself, and waits for the user at the machine. */
function PairingView({ start }: { start: PhoneStart }): JSX.Element {
  const [pairing, setPairing] = useState<{ readonly name: string; readonly number: string } | null>(null);
  const [refusal, setRefusal] = useState<Refused | null>(null);
  const [tries, setTries] = useState(1);
  const paired = start.phones.map(({ machine }) => machine).join(", ");
  useEffect(() => {
    const end = new AbortController();
    setRefusal(null);
    void pair(start, setPairing, end.signal)
      .catch(() => ({ code: "internal", message: "This browser keeps nothing: leave its private mode." }))
      .then((found) => end.signal.aborted || setRefusal(found));
    return () => end.abort();
  }, [tries]);
  return (
    <main id="main" class="narrow">
      <h1 tabIndex={-1}>Pair this phone</h1>
      {refusal === null && pairing === null && <p role="status">Introducing this phone …</p>}
      {refusal === null && pairing !== null && (
        <>
          <p>Compare with your terminal, and answer there:</p>
          <p class="check-number" role="status" children={pairing.number} />
          {paired !== "" && <p>{`It stays paired with ${paired}.`}</p>}
          <p class="muted">{`Another number? Answer “n”. This phone is “${pairing.name}” there.`}</p>
        </>
      )}
      <Trouble text={refusal && pairingTrouble(refusal)} />
      {refusal?.code === "unreachable" && (
        <button type="button" class="main" onClick={() => setTries(tries + 1)} children="Try again" />
      )}
      {refusal !== null && <Again />}
      {refusal !== null && paired !== "" && (
        <button type="button" onClick={() => void leaveGate()} children={`Open ${paired}`} />
      )}
    </main>
  );
}

type OnNumber = (shown: { readonly name: string; readonly number: string }) => void;

/** @returns why it is not paired; null: it is */
async function pair(start: PhoneStart, onNumber: OnNumber, end: AbortSignal): Promise<Refused | null> {
  if (!isSecureContext) return { code: "bad_input", message: "Without https a browser gives a page no keys." };
  const pairing = await toPairing(start);
  if (pairing === null) return { code: "bad_input", message: "The link is not complete: scan the code again." };
  const introduced = await introduce(pairing, pairingDeps);
  if (introduced.ok) onNumber({ name: pairing.name, number: await numberOf(pairing) });
  const granted = introduced.ok ? await awaitGrant(pairing, pairingDeps, end) : introduced;
  if (end.aborted) return null;
  if (!granted.ok) {
    if (granted.error.code !== "unreachable") await forget("pairing");
    return granted.error;
  }
  const { value: phone } = granted;
  const phones = await change("phones", (all) => [
    ...(all ?? []).filter(({ id }) => id !== phone.id && !phone.replaced.includes(id)),
    phone,
  ]);
  await forget("pairing");
  await change("ended", (all) => (all ?? []).filter((machine) => machine !== phone.machine));
  usePhones(phones);
  const isAgain = phone.replaced.length > 0;
  announce(`${phone.machine} is paired${isAgain ? " again" : ""}.`);
  return null;
}

/** The one that a reload continues, or one by the link. */
async function toPairing({ fragment }: PhoneStart): Promise<BegunPairing | null> {
  const link = fragment === null ? null : readPairingFragment(fragment);
  const begun = await read("pairing");
  if (fragment === null || (link !== null && begun?.link.id === link.id)) return begun;
  if (link === null) return null;
  const browser = await change("browser", (kept) => kept ?? randomText(16));
  const pairing = await beginPairing(link, phoneName(navigator.userAgent, await modelOf(navigator)), browser);
  await keep("pairing", pairing);
  return pairing;
}

/** The part of the User-Agent Client Hints API that TypeScript does not declare. */
interface WithHints {
  readonly userAgentData?: { getHighEntropyValues(names: readonly string[]): Promise<{ readonly model?: string }> };
}

async function modelOf(browser: Navigator & WithHints): Promise<string> {
  const hints = await browser.userAgentData?.getHighEntropyValues(["model"]).catch(() => ({ model: "" }));
  return hints?.model ?? "";
}
