import type { JSX } from "preact";
import { stateOfRegistered, stateText, workProgress } from "../../contract/chat-state.ts";
import { rowsOf } from "../fleet-groups.ts";
import { percent, plain } from "../format.ts";
import { call, useCall } from "../page-state.ts";
import { ActionButton, type Action } from "../parts/confirm.tsx";
import { Age, Badge, Command, Facts, Head, Read } from "../parts/pieces.tsx";

/** A chat of the workspace, without the content that only its own machine has. */
export function MemberView({ id }: { id: string }): JSX.Element {
  const fleet = useCall("page.fleet", {}).value;
  const command = fleet && rowsOf(fleet).find((row) => row.id === id)?.resumeCommand;
  return (
    <>
      <Head title={`Chat ${plain(id)}`} />
      <Read name="chats.get" input={{ chat: id }}>
        {(chat, at) => (
          <>
            <Facts
              facts={[
                [
                  "State",
                  <Badge kind={stateOfRegistered(chat).state}>{plain(stateText(stateOfRegistered(chat)))}</Badge>,
                ],
                ["Machine", plain(chat.machine)],
                ["Client", plain(chat.client)],
                ["Seen", <Age ms={chat.lastSeenAgeMs} at={at} />],
                ["Context", chat.health.contextFill === undefined ? "unknown" : percent(chat.health.contextFill)],
                ["Tasks", `${chat.taskCount} of ${chat.capacity}`],
                ["Progress", plain(workProgress(chat) ?? "-")],
              ]}
            />
            {command && <Command purpose="To continue it" command={command} isMain />}
            {chat.status !== "offline" && chat.status !== "draining" && <ActionButton action={drainAction(id)} />}
          </>
        )}
      </Read>
      <p class="muted">Its conversation and its brief are on its own machine, where the key is.</p>
    </>
  );
}

export function drainAction(chat: string): Action {
  return {
    title: `Drain chat ${plain(chat)}?`,
    effect: ["It finishes the tasks that it has, and gets no new ones.", "It does so until it registers again."],
    verb: "Drain",
    run: (requestId) => call("chats.drain", { chat, reason: "drained from the live page" }, requestId),
    done: "The chat drains.",
  };
}
