import { useMediaQuery } from "@mantine/hooks";

/** Whether the screen is a phone's: lists become cards, the menu becomes a sheet. */
export const useNarrow = (): boolean => useMediaQuery("(max-width: 720px)", false, { getInitialValueInEffect: false });

/** Height of a row in px: a finger needs more than a pointer. */
export const useRowHeight = (): number => (useMediaQuery("(pointer: coarse)", false, { getInitialValueInEffect: false }) ? 44 : 32);
