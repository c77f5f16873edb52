import type { JSX } from "preact";

interface Props {
  readonly kind: "over" | "forgotten";
  readonly machine: string;
}

/** Why this phone has no machine any more. */
export function Ended({ kind, machine }: Props): JSX.Element {
  return kind === "over" ? <Over machine={machine} /> : <Forgotten machine={machine} />;
}

function Over({ machine }: { machine: string }): JSX.Element {
  return (
    <>
      <h1 tabIndex={-1}>This pairing is over</h1>
      <p role="status">{`${machine} has ended it, or its time has passed. This phone has deleted its key.`}</p>
    </>
  );
}

function Forgotten({ machine }: { machine: string }): JSX.Element {
  return (
    <>
      <h1 tabIndex={-1}>This phone has forgotten its machine</h1>
      <p role="status">
        {`Its key is deleted here. On ${machine}, `}
        <code>shim phones list</code> still shows it: <code>shim phones remove</code> ends the pairing there.
      </p>
    </>
  );
}
