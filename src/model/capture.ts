/** The capture methods, by name; each is one file under src/capture/. */
export const CAPTURE_METHODS = ['at-rest', 'nbd', 'compare', 'tracked'] as const;
export type CaptureName = (typeof CAPTURE_METHODS)[number];

/** Those a scenario can use. The live ones join them when the engines carry their streams. */
export const CAPTURE_NAMES = ['at-rest'] as const satisfies readonly CaptureName[];
