const codes = {
  bad_input: false,
  no_tool: false,
  not_trusted: false,
  no_commit: false,
  tool_failed: false,
  not_idempotent: false,
  tests_failed: true,
  no_tests: false,
  reserved: true,
  stopped: true,
} as const satisfies Readonly<Record<string, boolean>>;

/** Why a transform left nothing behind; the message says what to do. */
export interface TransformFailure {
  readonly code: keyof typeof codes;
  readonly message: string;
  /** The same transform may succeed later. */
  readonly isRetryable: boolean;
}

export function failure(code: keyof typeof codes, message: string): TransformFailure {
  return { code, message, isRetryable: codes[code] };
}
