import { useMantineColorScheme } from "@mantine/core";
import { useState } from "react";

export function useTheme(): [theme: string, toggle: () => void] {
  const { setColorScheme } = useMantineColorScheme();
  const [theme, setTheme] = useState(document.documentElement.dataset.theme ?? "light");
  function toggle() {
    const next = theme === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem("fairlead-theme", next);
    } catch {
      // A browser that keeps nothing still changes the page.
    }
    setColorScheme(next);
    setTheme(next);
  }
  return [theme, toggle];
}
