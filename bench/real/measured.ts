import type { CutKind } from "./cuts.ts";
import type { Measures } from "./judge.ts";
import { judge } from "./judge.ts";
import type { PlayedCut, Way } from "./play.ts";
import { isKind, type RecordedSession, type SessionClient } from "./session-events.ts";
import { languageOf, type Language } from "./text-match.ts";

/** Figures and kinds of one cut: nothing that anybody said. */
export interface MeasuredCut extends Measures {
  /** Number of the session in this run. */
  readonly session: number;
  readonly client: SessionClient;
  readonly language: Language;
  readonly length: SessionLength;
  readonly isCompacted: boolean;
  readonly cut: CutKind;
  readonly way: Way;
  /** Why there is no brief: the code of the refusal. */
  readonly refusal: string | null;
  /** Processor time. */
  readonly briefMs: number;
  readonly importMs: number | null;
  readonly megabytes: number;
}

export const sessionLengths = ["1 prompt", "2 to 4 prompts", "5 to 9 prompts", "10 and more"] as const;
export type SessionLength = (typeof sessionLengths)[number];

export function measure(session: number, played: PlayedCut): MeasuredCut {
  const { cut, way, before, resumed, briefMs, bytes } = played;
  const megabytes = bytes / 1e6;
  return {
    session,
    client: played.session.client,
    ...kindOf(played.session),
    isCompacted: before.some(({ kind }) => kind === "compaction"),
    cut: cut.kind,
    way,
    refusal: resumed.refusal,
    briefMs,
    importMs: way === "import" && resumed.refusal === null ? Math.max(0, resumed.cpuMs - briefMs) : null,
    megabytes,
    ...judge(played),
  };
}

function kindOf({ events }: RecordedSession): Pick<MeasuredCut, "language" | "length"> {
  const prompts = events.filter(isKind("prompt")).map(({ text }) => text);
  const [few, some, many] = [1, 4, 9];
  const index = [few, some, many].findIndex((most) => prompts.length <= most);
  return { language: languageOf(prompts), length: sessionLengths[index] ?? "10 and more" };
}
