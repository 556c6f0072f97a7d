"""Who must look at what, by when: severity, team, deadline, ladder, and who speaks to the patient."""
