import { Session } from "node:inspector";
import Database from "better-sqlite3";

/** What a call of SHIM's source goes through. */
export interface Way {
  /** Files of `src` of which a function ran. */
  readonly files: readonly string[];
  /** Functions of `src` that ran, each once, as `file name`. */
  readonly functions: readonly string[];
  /** What SQLite was asked, in its order. */
  readonly statements: readonly string[];
  readonly transactions: number;
}

interface Coverage {
  readonly result: readonly {
    readonly url: string;
    readonly functions: readonly { readonly functionName: string; readonly ranges: readonly { count: number }[] }[];
  }[];
}

/** Counts what `body` runs: functions by the engine's own coverage, statements at better-sqlite3. */
export function measureWay(body: () => void): Way {
  const session = new Session();
  session.connect();
  const statements: string[] = [];
  const restore = logStatements(statements);
  try {
    post(session, "Profiler.enable");
    post(session, "Profiler.startPreciseCoverage", { callCount: true, detailed: false });
    post(session, "Profiler.takePreciseCoverage");
    body();
    const { result } = post(session, "Profiler.takePreciseCoverage") as Coverage;
    const ran = result.flatMap(({ url, functions }) => {
      const [, path] = /\/(src\/.*\.tsx?)$/.exec(url) ?? [];
      const called = functions.filter(({ ranges }) => (ranges[0]?.count ?? 0) > 0);
      return path === undefined || called.length === 0 ? [] : [{ path, called }];
    });
    return {
      files: ran.map(({ path }) => path).toSorted(),
      functions: ran
        .flatMap(({ path, called }) => called.map(({ functionName }) => `${path} ${functionName || "(anonymous)"}`))
        .toSorted(),
      statements,
      transactions: statements.filter((one) => /^\s*BEGIN/i.test(one)).length,
    };
  } finally {
    restore();
    session.disconnect();
  }
}

function post(session: Session, method: string, params: object = {}): unknown {
  let answer: unknown;
  session.post(method, params, (error, result) => {
    if (error) throw error;
    answer = result;
  });
  return answer;
}

type Logged = "all" | "get" | "run" | "iterate";

function logStatements(into: string[]): () => void {
  const probe = new Database(":memory:");
  const statement = Object.getPrototypeOf(probe.prepare("SELECT 1")) as Record<
    Logged,
    (...values: unknown[]) => unknown
  >;
  const database = Object.getPrototypeOf(probe) as { exec: (statements: string) => unknown };
  probe.close();
  const { all, get, run, iterate } = statement;
  const { exec } = database;
  const logged = (own: (...values: unknown[]) => unknown) =>
    function (this: { source: string }, ...values: unknown[]): unknown {
      into.push(this.source);
      return own.apply(this, values);
    };
  Object.assign(statement, { all: logged(all), get: logged(get), run: logged(run), iterate: logged(iterate) });
  database.exec = function (this: unknown, statements: string): unknown {
    into.push(statements);
    return exec.call(this, statements);
  };
  return () => {
    Object.assign(statement, { all, get, run, iterate });
    database.exec = exec;
  };
}
