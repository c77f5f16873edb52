import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { PushKind } from "../../contract/phone-frames.ts";
import { plain } from "../format.ts";
import { backend, announce } from "../page-state.ts";
import { Facts, Head, Trouble } from "../parts/pieces.tsx";
import { PhoneBackend } from "./phone-backend.ts";
import { choosePush, pushTrouble } from "./push.ts";
import { read } from "./stored-phone.ts";

export function PhoneView(): JSX.Element {
  const present = backend.value;
  return (
    <>
      <Head title="Phone" />
      {present instanceof PhoneBackend ? (
        <Paired present={present} />
      ) : (
        <p>
          This browser is not paired with a machine. Run <code>shim pair</code> there, and scan its code.
        </p>
      )}
    </>
  );
}

function Paired({ present }: { present: PhoneBackend }): JSX.Element {
  const { machine, endsAt } = present.phone;
  return (
    <>
      <Facts
        facts={[
          ["Machine", plain(machine)],
          ["This phone may", present.canAnswer ? "see chats, answer them and write to them" : "see chats"],
          ["Paired until", new Date(endsAt).toLocaleDateString(undefined, { dateStyle: "long" })],
        ]}
      />
      <Notifications present={present} />
      <section aria-labelledby="forget">
        <h2 id="forget">Forget this machine here</h2>
        <p>
          Deletes the key of this phone. <code>shim phones remove</code> on the machine ends the pairing there.
        </p>
        <button type="button" class="final" onClick={() => void forgetHere(present)} children="Forget this machine" />
      </section>
    </>
  );
}

async function forgetHere(present: PhoneBackend): Promise<void> {
  if ((await read("kinds")) !== null) await present.setPush(null, []);
  await present.signOut();
}

const kindTexts: Readonly<Record<PushKind, string>> = {
  waits: "waits for me",
  died: "died",
  done: "is done",
  limit: "is at its limit",
};
const allKinds = Object.keys(kindTexts) as PushKind[];

function Notifications({ present }: { present: PhoneBackend }): JSX.Element {
  const missing = pushTrouble(present.phone.pushKey);
  const [chosen, setChosen] = useState<readonly PushKind[]>([]);
  const [isBusy, setIsBusy] = useState(false);
  const [trouble, setTrouble] = useState<string | null>(null);
  useEffect(() => void read("kinds").then((kinds) => setChosen(kinds ?? [])), []);
  const choose = async (kinds: readonly PushKind[]): Promise<void> => {
    setIsBusy(true);
    const found = await choosePush(present, kinds);
    setIsBusy(false);
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
        <fieldset disabled={isBusy}>
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
      <Trouble text={trouble} />
    </section>
  );
}
