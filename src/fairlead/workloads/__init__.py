"""What a user's object means: which pods and pod groups it stands for."""
