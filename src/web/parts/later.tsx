import type { FunctionComponent, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

/** A part that few views show: its code is loaded once one of them does. */
export function later<Props extends object>(load: () => Promise<FunctionComponent<Props>>): FunctionComponent<Props> {
  let loaded: FunctionComponent<Props> | null = null;
  return function Later(props: Props): JSX.Element | null {
    const [, setLoaded] = useState(loaded !== null);
    useEffect(() => {
      const show = async (): Promise<void> => {
        loaded ??= await load();
        setLoaded(true);
      };
      // Without a network it is loaded when the view is shown again.
      void show().catch(() => undefined);
    }, []);
    const Part = loaded;
    return Part && <Part {...props} />;
  };
}
