// Before the first paint: the chosen theme, else the system's.
(function () {
  var chosen = null;
  try { chosen = localStorage.getItem("fairlead-theme"); } catch (e) { chosen = null; }
  var dark = chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  document.documentElement.dataset.mantineColorScheme = dark ? "dark" : "light";
})();
