import type { Branch, DraftText, TranscriptContent, TranscriptDraft, TranscriptText } from "./transcript-draft.ts";

/** Without what a reader keeps only from line to line. */
export function finished(draft: TranscriptDraft): TranscriptContent {
  const {
    calls: _calls,
    ended: _ended,
    proposedPlan: _plan,
    lastAnswer: _lastAnswer,
    queue: _queue,
    dequeued: _dequeued,
    branches: _branches,
    branch: _branch,
    promptAfter: _promptAfter,
    programs: _programs,
    waits: _waits,
    ...content
  } = draft;
  return {
    ...content,
    texts: saidOnce(withoutWithdrawn(draft.texts)),
    apiErrors: saidOnce(draft.apiErrors),
    usage: [...draft.usage.values()],
    subagentUsage: [...draft.subagentUsage.values()],
  };
}

function withoutWithdrawn(texts: readonly DraftText[]): TranscriptText[] {
  const gone = new Map<Branch, boolean>();
  const isGone = (branch: Branch): boolean => {
    const path: Branch[] = [];
    let at: Branch | null = branch;
    while (at !== null && !gone.has(at)) {
      path.push(at);
      at = at.parent;
    }
    let isAbove = at !== null && gone.get(at) === true;
    for (const one of path.toReversed()) gone.set(one, (isAbove ||= one.isWithdrawn));
    return gone.get(branch) === true;
  };
  return texts.flatMap(({ branch = null, ...text }) => (branch !== null && isGone(branch) ? [] : [text]));
}

interface Said {
  readonly at: number | null;
  readonly text: string;
  readonly role?: TranscriptText["role"];
}

/** A client's replay, or a copy, writes the same words with the same time again. */
function saidOnce<One extends Said>(all: readonly One[]): One[] {
  const known = new Set<string>();
  return all.filter(({ role = "", at, text }) => {
    const key = `${role} ${at} ${text}`;
    if (at !== null && known.has(key)) return false;
    known.add(key);
    return true;
  });
}
