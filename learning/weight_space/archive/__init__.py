"""An archive of a limb's recurrent policies: asked questions, compared, mapped, predicted."""
