import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { PushKind, PushState } from "../../contract/phone-frames.ts";
import { plain, sentence, timeText } from "../format.ts";
import { announce, backend } from "../page-state.ts";
import { Age, Facts, Head, Trouble } from "../parts/pieces.tsx";
import { Machines } from "./machines.ts";
import type { PhoneBackend } from "./phone-backend.ts";
import { choosePush, pushTrouble, renewPush } from "./push.ts";
import { forget, read } from "./stored-phone.ts";

export function PhoneView(): JSX.Element {
  const present = backend.value;
  return (
    <>
      <Head title="Phone" />
      {present instanceof Machines ? (
        <Paired machines={present.all.value} />
      ) : (
        <p>
          This browser is not paired with a machine. Run <code>shim pair</code> there, and scan its code.
        </p>
      )}
    </>
  );
}

function Paired({ machines }: { machines: readonly PhoneBackend[] }): JSX.Element {
  const [ended, setEnded] = useState<readonly string[]>([]);
  useEffect(() => void read("ended").then((names) => setEnded(names ?? [])), [machines.length]);
  return (
    <>
      {machines.map((one) => (
        <Machine key={one.phone.id} machine={one} />
      ))}
      {ended.length > 0 && (
        <p class="trouble warn">
          {`The pairing with ${plain(ended.join(", "))} is over. `}
          <button
            type="button"
            onClick={() => void forget("ended").then(() => setEnded([]))}
            children="Remove from the list"
          />
        </p>
      )}
      <p class="muted">
        <code>shim pair</code> on another machine of the workspace adds it to this list.
      </p>
      <Notifications machines={machines} />
    </>
  );
}

function Machine({ machine }: { machine: PhoneBackend }): JSX.Element {
  const { state, canAnswer, phone } = machine;
  const name = plain(phone.machine);
  const at = state.isLive ? "on" : `${sentence(plain(state.why))}. Last heard: ${timeText(state.since)}`;
  return (
    <section aria-labelledby={phone.id}>
      <h2 id={phone.id} children={name} />
      <Facts
        facts={[
          ["Now", at],
          ["This phone may", canAnswer ? "see chats, answer them and write to them" : "see chats"],
          ["Paired until", new Date(phone.endsAt).toLocaleDateString(undefined, { dateStyle: "long" })],
        ]}
      />
      <p>
        Forgetting deletes the key of this phone. <code>shim phones remove</code> on the machine ends the pairing there.
      </p>
      <button
        type="button"
        class="final"
        onClick={() => void forgetHere(machine)}
        aria-label={`Forget this machine: ${name}`}
        children="Forget this machine"
      />
    </section>
  );
}

async function forgetHere(machine: PhoneBackend): Promise<void> {
  if (machine.state.isLive && (await read("push")) !== null) await machine.setPush(null, false);
  await machine.signOut();
}

const kindTexts: Readonly<Record<PushKind, string>> = {
  waits: "waits for me",
  died: "died",
  done: "is done",
  limit: "is at its limit",
};
const allKinds = Object.keys(kindTexts) as PushKind[];

function Notifications({ machines }: { machines: readonly PhoneBackend[] }): JSX.Element {
  const missing = pushTrouble();
  const [chosen, setChosen] = useState<readonly PushKind[]>([]);
  const [busy, setBusy] = useState<string | null>(null);
  const [trouble, setTrouble] = useState<string | null>(null);
  useEffect(() => void read("push").then((push) => setChosen(push?.kinds ?? [])), []);
  const choose = async (kinds: readonly PushKind[]): Promise<void> => {
    setBusy("Asking the browser and its push service …");
    const found = await choosePush(machines, kinds);
    setBusy(null);
    setTrouble(found);
    if (found !== null) return;
    setChosen(kinds);
    announce(kinds.length === 0 ? "This phone is not notified." : "This phone is notified.");
  };
  return (
    <section aria-labelledby="notify">
      <h2 id="notify">Notify me</h2>
      {missing !== null && <p class="muted">{missing}</p>}
      {missing === null && (
        <fieldset disabled={busy !== null}>
          <legend>When a chat</legend>
          {allKinds.map((kind) => (
            <label key={kind}>
              <input
                type="checkbox"
                checked={chosen.includes(kind)}
                onChange={({ currentTarget: { checked } }) =>
                  void choose(allKinds.filter((one) => (one === kind ? checked : chosen.includes(one))))
                }
              />
              {kindTexts[kind]}
            </label>
          ))}
        </fieldset>
      )}
      <p class="muted" role="status" children={busy} />
      <Trouble text={trouble} />
      {missing === null && chosen.length === 0 && <p class="muted">Notifications are off.</p>}
      {missing === null &&
        chosen.length > 0 &&
        machines.map((one) => <Sender key={one.phone.id} machine={one} chosen={chosen} />)}
    </section>
  );
}

interface Reported {
  readonly state: PushState | null;
  readonly trouble: string | null;
  /** By `performance.now()`. */
  readonly at: number;
}

/** Whether the notifications of a machine work: when it sent the last one, and with what result. */
function Sender({ machine, chosen }: { machine: PhoneBackend; chosen: readonly PushKind[] }): JSX.Element {
  const [reported, setReported] = useState<Reported | null>(null);
  const { isLive } = machine.state;
  const ask = async (isTest: boolean): Promise<void> => {
    const answer = await renewPush(machine, isTest);
    const at = performance.now();
    if (answer === null) setReported({ state: null, trouble: "the browser's push service was not reached", at });
    else if (answer.ok) setReported({ state: answer.value, trouble: null, at });
    else setReported({ state: null, trouble: answer.error.message, at });
  };
  useEffect(() => {
    if (isLive) void ask(false);
  }, [isLive, chosen]);
  return (
    <p>
      {`${plain(machine.phone.machine)}: `}
      {isLive ? <Outcome reported={reported} /> : "not there: it gets the choice later. "}
      <button
        type="button"
        disabled={!isLive}
        onClick={() => void ask(true)}
        aria-label={`Send one now from ${plain(machine.phone.machine)}`}
        children="Send one now"
      />
    </p>
  );
}

function Outcome({ reported }: { reported: Reported | null }): JSX.Element {
  if (reported === null) return <>asking … </>;
  const { state, trouble, at } = reported;
  if (state === null) return <>{`${plain(trouble ?? "")}. `}</>;
  if (state.last === null) return <>has sent none yet. </>;
  const { ageMs, problem } = state.last;
  return (
    <>
      {"last one sent "}
      <Age ms={ageMs} at={at} />
      {problem === null ? "; the push service took it. " : `; failed: ${plain(problem)}. `}
    </>
  );
}
