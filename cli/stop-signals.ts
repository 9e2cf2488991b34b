const SIGNALS = { SIGINT: 2, SIGTERM: 15 } as const;

/**
 * Under npm, Ctrl-C arrives twice: the terminal sends it to the whole process group, and npm passes its own on. Within this
 * time a second signal is taken for the first one's echo.
 */
const ECHO_MILLIS = 500;

/**
 * Settles at the first SIGINT or SIGTERM. A later one ends the process at once, with the exit code that shells give a
 * killed one; the kernel then detaches the probe.
 */
export function whenStopped(now: () => number = performance.now.bind(performance)): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let first: number | undefined;
    const onSignal = (signal: keyof typeof SIGNALS) => {
      if (first === undefined) {
        first = now();
        resolve(signal);
      } else if (now() - first >= ECHO_MILLIS) {
        process.exit(128 + SIGNALS[signal]);
      }
    };
    process.on('SIGINT', onSignal as (signal: NodeJS.Signals) => void);
    process.on('SIGTERM', onSignal as (signal: NodeJS.Signals) => void);
  });
}
