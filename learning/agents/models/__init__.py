"""Language models behind one interface: scripted rules, OpenAI-compatible servers, recordings."""
