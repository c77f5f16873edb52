import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Lease } from "../../contract/leases.ts";
import { shortIds } from "../../contract/short-id.ts";
import { plain } from "../format.ts";
import { call, linkTo } from "../page-state.ts";
import { ActionButton, type Action } from "../parts/confirm.tsx";
import { Age, Empty, Head, Left, Read, Table, type Column } from "../parts/pieces.tsx";

/** Leases: files of a project, and everything else that one chat at a time may have. */
export function FilesView(): JSX.Element {
  const [isAll, setIsAll] = useState(false);
  return (
    <>
      <Head title="Files" search="Search files and chats" />
      <label class="line">
        <input type="checkbox" checked={isAll} onChange={({ currentTarget }) => setIsAll(currentTarget.checked)} />
        also what is no file
      </label>
      <Read name="leases.list" input={{ limit: 200, prefix: isAll ? "" : "file:" }}>
        {({ leases, cursor }, at) => (
          <>
            <Table<Lease>
              caption="Files and locks"
              items={leases}
              keyOf={({ resource }) => resource}
              textsOf={({ resource, holder }) => [resource, holder]}
              none={none}
              columns={leaseColumns(leases, isAll, at)}
            />
            {cursor !== null && <p class="muted">Only the first 200 by name are shown.</p>}
          </>
        )}
      </Read>
    </>
  );
}

function leaseColumns(leases: readonly Lease[], isAll: boolean, at: number): readonly Column<Lease>[] {
  const short = shortIds(leases.map(({ holder }) => holder));
  return [
    {
      head: isAll ? "File or lock" : "File",
      cell: ({ resource }) => <span title={plain(resource)}>{nameOf(resource)}</span>,
    },
    {
      head: "Reserved by",
      cell: ({ holder }) => <a href={linkTo("chat", holder)}>{plain(short(holder))}</a>,
    },
    { head: "For", cell: ({ heldForMs }) => <Age ms={heldForMs} at={at} suffix="" /> },
    {
      head: "Ends in",
      cell: (one) => (one.isBound ? "as long as its chat lives" : <Left ms={one.remainingMs} at={at} />),
    },
    { head: "", cell: (lease) => <ActionButton action={forceRelease(lease)} label="Release" /> },
  ];
}

const none = (
  <Empty title="No chat has reserved a file.">
    A chat that is asked to can reserve files, with its tool <code>shim_files</code>.
  </Empty>
);

/** `file:<project>/<path>`: the project is a hash of no use to a reader. */
function nameOf(resource: string): string {
  return plain(resource.replace(/^file:[^/]*\//, ""));
}

function forceRelease({ resource, holder }: Lease): Action {
  return {
    title: `Force the release of ${nameOf(resource)}?`,
    effect: [
      `Chat ${plain(holder.slice(0, 12))} loses it at once, and the next that waits gets it.`,
      "Its edits under way are not undone. The audit log records the release.",
    ],
    verb: "Force release",
    isFinal: true,
    run: (requestId) => call("leases.force-release", { resource, reason: "released from the live page" }, requestId),
    done: "Released.",
  };
}
