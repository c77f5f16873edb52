import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { stateText } from "../../contract/chat-state.ts";
import type { SessionPage } from "../../contract/machine/page.ts";
import { firstReads } from "../chat/first-reads.ts";
import { Conversation } from "../chat/conversation.tsx";
import { Hits } from "../chat/hits.tsx";
import { forkCommandFor } from "../chat/row.tsx";
import { plain, shortPath } from "../format.ts";
import { backend, query, useCall } from "../page-state.ts";
import { WriteToChat } from "../parts/write-to-chat.tsx";
import { later } from "../parts/later.tsx";
import { Age, CopyButton, Head, Trouble } from "../parts/pieces.tsx";

const answers = () => import("../parts/answers.tsx");
const GivenAnswers = later(async () => (await answers()).GivenAnswers);
const NeedOfRequest = later(async () => (await answers()).NeedOfRequest);
const About = later(async () => (await import("../chat/about.tsx")).About);
const MemberView = later(async () => (await import("../chat/member.tsx")).MemberView);
const RunsOfChat = later(async () => (await import("../parts/runs.tsx")).RunsOfChat);

export function ChatView({ id }: { id: string }): JSX.Element {
  return backend.value?.kind !== "edge" ? <SessionView id={id} /> : <MemberView id={id} />;
}

function SessionView({ id }: { id: string }): JSX.Element {
  const loaded = useCall("page.session", firstReads(id)["page.session"]);
  const [isAbout, setIsAbout] = useState(false);
  if (loaded.error?.code === "not_found") return <MemberView id={id} />;
  return (
    <div class="chat">
      <Head title={plain(loaded.value?.row.title ?? "Chat")} search="Search this chat">
        <button type="button" aria-pressed={isAbout} onClick={() => setIsAbout(!isAbout)} children="About" />
      </Head>
      <Trouble text={loaded.error && plain(loaded.error.message)} />
      {loaded.value && <Standing page={loaded.value} at={loaded.at} />}
      {loaded.value && isAbout && <About page={loaded.value} at={loaded.at} />}
      <Session id={id} page={loaded.value} />
    </div>
  );
}

interface SessionProps {
  readonly page: SessionPage;
  readonly at: number;
}

/** The conversation is read beside what is known of the chat, not after it. */
function Session({ id, page }: { id: string; page: SessionPage | null }): JSX.Element {
  const [found, setFound] = useState<string | null>(null);
  const words = query.value.trim();
  const owner = { session: id, forkCommand: page === null ? null : forkCommandFor(page.forkCommand) };
  const show = (row: string | null): void => {
    query.value = "";
    setFound(row);
  };
  return (
    <>
      {words.length >= minSearchedChars && <Hits session={id} words={words} onChoose={show} />}
      <Conversation owner={owner} found={found} onLeaveFound={() => setFound(null)} />
      {page && <Below page={page} />}
    </>
  );
}

/** A shorter text is in nearly every row. */
const minSearchedChars = 2;

function Standing({ page: { row }, at }: SessionProps): JSX.Element {
  const project = row.project === null ? null : shortPath(row.project);
  return (
    <p class="summary">
      <span class={`state ${row.state}`}>{plain(stateText(row))}</span>
      {row.waitingMs === null ? <Age ms={row.seenAgeMs} at={at} /> : <Age ms={row.waitingMs} at={at} suffix="" />}
      <span>{plain([project, row.client, row.model, row.machine].filter((part) => part).join(" · "))}</span>
    </p>
  );
}

/** The open requests of the chat, above the line to write in, or above how it is continued. */
function Below({ page }: { page: SessionPage }): JSX.Element {
  const { row, isAlive } = page;
  const listed = useCall("requests.list", {});
  const requests = listed.value?.requests.filter(({ session }) => session === row.id) ?? [];
  const answers = listed.value?.answers?.filter(({ session }) => session === row.id) ?? [];
  return (
    <div class="below">
      {page.atLimit !== null && <p class="trouble warn">{plain(page.atLimit.text)}</p>}
      {requests.length > 0 && (
        <ul class="needs" aria-label="It asks you">
          {requests.map((request) => (
            <NeedOfRequest key={request.id} request={request} at={listed.at} />
          ))}
        </ul>
      )}
      <GivenAnswers answers={answers} at={listed.at} />
      {!isAlive && row.causeDetail !== null && <p class="muted">{plain(row.causeDetail)}</p>}
      {!isAlive && <Continue page={page} />}
      {isAlive && backend.value?.canAnswer === true && <WriteToChat session={row.id} refusal={page.cannotWrite} />}
      <RunsOfChat row={row} isAlive={isAlive} />
    </div>
  );
}

function Continue({ page }: { page: SessionPage }): JSX.Element | null {
  const { resumeCommand: command } = page.row;
  if (command === null) return null;
  if (backend.value?.kind === "phone")
    return (
      <p>
        To continue it, type on its machine: <code>{plain(command)}</code>
      </p>
    );
  return (
    <p class="line">
      <CopyButton command={command} label="Copy resume command" />
      <code class="muted">{plain(command)}</code>
    </p>
  );
}
